// The keyboard: single keys, `g` and a letter, rows by j and k, the command palette, the list of keys.
const one = (selector) => document.querySelector(selector);
const typing = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

export function startKeys({ refresh, nextTheme }) {
  let after = "", timer = 0;
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openPalette(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || one("dialog[open]")) return;
    clearTimeout(timer);
    if (after === "g") {
      after = "";
      const link = one(`[data-key-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); location.href = link.href; }
      return;
    }
    const actions = {
      g: () => { after = "g"; timer = setTimeout(() => { after = ""; }, 1200); },
      "/": () => openSearch(),
      "?": () => one("[data-help]").showModal(),
      t: nextTheme,
      r: refresh,
      j: () => step(1),
      k: () => step(-1),
    };
    if (actions[event.key]) { event.preventDefault(); actions[event.key](); }
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-palette-open]")) openPalette();
    if (event.target.closest("[data-help-open]")) one("[data-help]").showModal();
    if (event.target.matches("dialog")) event.target.close();
  });
}

function openSearch() {
  document.getElementById("menu").classList.add("open");
  const field = document.getElementById("search");
  field.focus();
  field.select();
}

function step(by) {
  const rows = [...document.querySelectorAll("main tbody tr, main .item, main .event")].filter((row) => row.querySelector("a") && row.offsetParent);
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("row-at"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
  rows[at]?.classList.remove("row-at");
  next.classList.add("row-at");
  (next.querySelector(".event-when") || next.querySelector("a")).focus({ focusVisible: false });
  next.scrollIntoView({ block: "nearest" });
}

// ---- the palette -------------------------------------------------------------------------------------------------------
let entries = null, shown = [], chosen = 0;

async function openPalette() {
  const dialog = one("[data-palette]"), field = one("[data-palette-input]");
  if (dialog.open) return;
  dialog.showModal();
  field.value = "";
  if (!entries) {
    field.oninput = () => list(field.value);
    field.onkeydown = onKey;
    const response = await fetch("/verbs", { credentials: "same-origin" });
    if (!response.ok) { dialog.close(); location.reload(); return; }
    const told = await response.json();
    const scope = new URLSearchParams([...new URLSearchParams(location.search)].filter(([key]) => ["since", "until", "environment", "service", "team"].includes(key)));
    const scoped = (path) => (scope.size ? `${path}?${scope}` : path);
    entries = [
      ...told.pages.map((page) => ({ name: page.words, about: "", side: page.key ? `g ${page.key}` : "page", href: scoped(page.path) })),
      ...told.verbs.map((verb) => ({ name: verb.name, about: verb.summary, side: verb.reads ? "show" : verb.needs, href: scoped(verb.href) })),
    ];
  }
  list("");
}

function list(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const score = (entry) => {
    const name = entry.name.toLowerCase(), all = `${name} ${entry.about.toLowerCase()}`;
    if (!words.every((word) => all.includes(word))) return -1;
    return words.reduce((sum, word) => sum + (name.startsWith(word) ? 3 : name.includes(`.${word}`) ? 2 : name.includes(word) ? 1 : 0), 0);
  };
  shown = (entries || []).map((entry) => [score(entry), entry]).filter(([points]) => points >= 0).sort((a, b) => b[0] - a[0]).slice(0, 50).map(([, entry]) => entry);
  if (words.length) shown.push({ name: `Search for “${text}”`, about: "", side: "/", href: `/search?q=${encodeURIComponent(text)}` });
  chosen = 0;
  draw();
}

function draw() {
  const box = one("[data-palette-list]");
  box.replaceChildren(...shown.map((entry, index) => {
    const line = document.createElement("li");
    line.role = "option";
    line.id = `palette-${index}`;
    line.ariaSelected = String(index === chosen);
    for (const [tag, text] of [["b", entry.name], ["span", entry.about], ["i", entry.side]]) {
      const piece = document.createElement(tag);
      piece.textContent = text;
      line.append(piece);
    }
    line.onclick = () => { location.href = entry.href; };
    return line;
  }));
  one("[data-palette-input]").setAttribute("aria-activedescendant", `palette-${chosen}`);
  box.children[chosen]?.scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by && shown.length) { event.preventDefault(); chosen = (chosen + by + shown.length) % shown.length; draw(); }
  if (event.key === "Enter" && shown[chosen]) { event.preventDefault(); location.href = shown[chosen].href; }
}

// The log viewer: folds, search, line links, following a job that still writes.
const PAUSE = 1000, SAID_EVERY = 5000;

export function startLogs(root) {
  for (const log of root.querySelectorAll("[data-log]:not([data-started])")) { log.dataset.started = "yes"; start(log); }
}

function start(log) {
  const lines = log.querySelector(".log-lines");
  for (const group of lines.querySelectorAll("[data-fold=closed]")) fold(lines, group, true);
  log.addEventListener("click", (event) => {
    const button = event.target.closest(".log-fold");
    if (button) fold(lines, button.parentElement, button.getAttribute("aria-expanded") === "true");
    if (event.target.closest("[data-log-times]")) toggle(event.target.closest("button"), (on) => log.classList.toggle("with-times", on));
  });
  const field = log.querySelector("[data-log-search]");
  let timer = 0;
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => search(log, lines, field.value), 120); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); nextHit(log, event.shiftKey ? -1 : 1); }
    if (event.key === "Escape") { field.value = ""; search(log, lines, ""); field.blur(); }
  });
  const follow = log.querySelector("[data-log-follow]");
  if (follow) following(log, lines, follow);
  addEventListener("hashchange", () => goTo(lines));
  if (!goTo(lines) && log.dataset.focus) show(lines, document.getElementById(`L${log.dataset.focus}`), true);
}

function toggle(button, change) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  change(on);
  return on;
}

function fold(lines, group, closed) {
  const number = group.id.slice(1);
  group.querySelector(".log-fold").setAttribute("aria-expanded", String(!closed));
  for (const line of lines.querySelectorAll(`[data-group="${number}"]`)) {
    line.hidden = closed;
    if (line.dataset.fold) fold(lines, line, closed || line.querySelector(".log-fold").getAttribute("aria-expanded") === "false");
    if (closed) line.hidden = true;
  }
}

function show(lines, line, mark) {
  if (!line || !lines.contains(line)) return false;
  for (let group = line.dataset.group; group; ) {
    const opener = document.getElementById(`L${group}`);
    if (!opener) break;
    fold(lines, opener, false);
    group = opener.dataset.group;
  }
  lines.querySelector(".log-at-focus")?.classList.remove("log-at-focus");
  if (mark) line.classList.add("log-at-focus");
  lines.scrollTop = line.offsetTop - lines.offsetTop - lines.clientHeight / 3;
  return true;
}

function goTo(lines) {
  const match = /^#L(\d+)$/.exec(location.hash);
  return match ? show(lines, document.getElementById(`L${match[1]}`), true) : false;
}

// ---- search ------------------------------------------------------------------------------------------------------------
function search(log, lines, text) {
  for (const mark of lines.querySelectorAll("mark")) mark.replaceWith(...mark.childNodes);
  lines.querySelectorAll(".log-text").forEach((piece) => piece.normalize());
  const wanted = text.toLowerCase();
  let hits = 0;
  if (wanted) {
    const walker = document.createTreeWalker(lines, NodeFilter.SHOW_TEXT, (node) =>
      node.parentElement.closest(".log-text") ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP);
    const found = [];
    while (walker.nextNode()) found.push(walker.currentNode);
    for (const node of found) hits += mark(node, wanted);
  }
  log.querySelector(".log-hits").textContent = wanted ? (hits ? `1 of ${hits}` : "no hit") : "";
  log.dataset.hit = "-1";
  if (hits) nextHit(log, 1);
}

function mark(node, wanted) {
  let count = 0, at;
  while ((at = node.data.toLowerCase().indexOf(wanted)) >= 0) {
    const hit = node.splitText(at), rest = hit.splitText(wanted.length), box = document.createElement("mark");
    hit.replaceWith(box);
    box.append(hit);
    node = rest;
    count += 1;
  }
  return count;
}

function nextHit(log, by) {
  const hits = [...log.querySelectorAll("mark")];
  if (!hits.length) return;
  const at = (Number(log.dataset.hit) + by + hits.length) % hits.length;
  log.dataset.hit = String(at);
  log.querySelector(".log-hits").textContent = `${at + 1} of ${hits.length}`;
  show(log.querySelector(".log-lines"), hits[at].closest(".log-line"), true);
}

// ---- following ---------------------------------------------------------------------------------------------------------
function following(log, lines, button) {
  const said = log.querySelector("[data-log-said]");
  let on = true, stopped = false, unsaid = 0, saidAt = 0;
  // A screen reader hears how much came, now and then, not every line.
  const say = (came) => {
    unsaid += came;
    if (!stopped && (!unsaid || performance.now() - saidAt < SAID_EVERY)) return;
    said.textContent = `${unsaid} new ${unsaid === 1 ? "line" : "lines"}${stopped ? "; the log is complete" : ""}`;
    [unsaid, saidAt] = [0, performance.now()];
  };
  button.addEventListener("click", () => { on = toggle(button, () => {}); if (on) lines.scrollTop = lines.scrollHeight; });
  lines.addEventListener("wheel", () => {
    requestAnimationFrame(() => {
      const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
      if (atEnd !== on) { on = atEnd; button.setAttribute("aria-pressed", String(on)); }
    });
  }, { passive: true });
  const step = async () => {
    if (stopped || !log.isConnected) return;
    if (!document.hidden) {
      try {
        const last = lines.querySelector(".log-line:last-of-type")?.id.slice(1) || "0";
        const url = new URL(log.dataset.src, location.href);
        url.searchParams.set("after", last);
        url.searchParams.set("fragment", "1");
        const response = await fetch(url, { credentials: "same-origin" });
        if (response.ok) {
          const fresh = document.createElement("template");
          fresh.innerHTML = await response.text();
          stopped = Boolean(fresh.content.querySelector("[data-done]"));
          const came = fresh.content.querySelectorAll(".log-line").length;
          lines.append(fresh.content);
          say(came);
          if (on) lines.scrollTop = lines.scrollHeight;
          if (stopped) button.remove();
        }
      } catch { /* the page says itself when the connection is lost; the next round asks again */ }
    }
    setTimeout(step, PAUSE);
  };
  lines.scrollTop = lines.scrollHeight;
  setTimeout(step, PAUSE);
}

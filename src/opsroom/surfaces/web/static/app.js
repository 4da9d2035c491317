// What every page does: the live stream, marking what changed, times that count on, menus and toasts; loads the rest on demand.
import { startKeys } from "./keys.js";

const main = () => document.getElementById("main");
const one = (selector) => document.querySelector(selector);

// ---- parts that need a script of their own -------------------------------------------------------------------------------
async function enliven(root) {
  if (root.querySelector("[data-chart]")) (await import("./charts.js")).drawCharts(root);
  if (root.querySelector("[data-log]")) (await import("./log.js")).startLogs(root);
  if (root.querySelector("[data-mermaid]")) (await import("./mermaid.js")).drawDiagrams(root);
}

// ---- live --------------------------------------------------------------------------------------------------------------
const SETTLE = 400, AT_MOST_EVERY = 1500;
let timer = 0, last = 0, busy = false, again = false;

function wanted() {
  if (busy) { again = true; return; }
  clearTimeout(timer);
  timer = setTimeout(refresh, Math.max(SETTLE, last + AT_MOST_EVERY - performance.now()));
}

export async function refresh() {
  busy = true;
  last = performance.now();
  const before = pictures(main());
  try {
    const response = await fetch(main().dataset.liveUrl, { headers: { "X-Live": "1" }, credentials: "same-origin" });
    if (response.redirected && new URL(response.url).pathname === "/sign-in") { location.reload(); return; }
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("main");
    if (!fresh || main().contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox]), textarea, select")) return;
    await htmx.swap({ sourceElement: main(), target: "#main", text: fresh.innerHTML, swap: "innerMorph", transition: false });
    markChanged(before);
    times();
    await enliven(main());
    dispatchEvent(new CustomEvent("opsroom:refreshed"));
  } catch { /* the stream says itself when the connection is lost */ } finally {
    busy = false;
    if (again) { again = false; wanted(); }
  }
}

function picture(element) {
  let text = "";
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) =>
    node.nodeType === 1 && (node.tagName === "TIME" || node.hasAttribute("hx-morph-skip")) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
  while (walker.nextNode()) if (walker.currentNode.nodeType === 3) text += walker.currentNode.data.trim();
  return text;
}
const pictures = (root) => new Map([...root.querySelectorAll("[data-key]")].map((element) => [element.dataset.key, picture(element)]));

function markChanged(before) {
  for (const element of main().querySelectorAll("[data-key]")) {
    if (before.get(element.dataset.key) === picture(element) || element.matches("[data-chart]")) continue;
    element.classList.remove("changed");
    void element.offsetWidth;
    element.classList.add("changed");
    setTimeout(() => element.classList.remove("changed"), 2500);
  }
}

let lostTimer = 0;
function connection(state) {
  const words = { on: "Live", waiting: "Connecting", lost: "Offline" };
  const shown = one("[data-live-state]");
  if (shown) { shown.dataset.liveState = state; one("[data-live-word]").textContent = words[state] || ""; }
  clearTimeout(lostTimer);
  if (state === "lost") lostTimer = setTimeout(() => { one("[data-lost]").hidden = false; }, 1500);
  else if (state === "on") one("[data-lost]").hidden = true;
}

function startLive() {
  const stream = one("[data-live]");
  if (!stream) return;
  connection("waiting");
  let wasLost = false;
  stream.addEventListener("hello", () => { connection("on"); if (wasLost) { wasLost = false; wanted(); } });
  stream.addEventListener("ledger", wanted);
  const lost = () => { if (!document.hidden) { wasLost = true; connection("lost"); } };
  for (const name of ["bye", "htmx:sse:error", "htmx:sse:close", "htmx:error"]) stream.addEventListener(name, lost);
  addEventListener("beforeunload", () => clearTimeout(lostTimer));
  // Only now, with listeners and the extension in place, is htmx told to connect.
  stream.setAttribute("hx-sse:connect", stream.dataset.live);
  htmx.process(stream);
}

// ---- times -------------------------------------------------------------------------------------------------------------
const UNITS = [["y", 31536000], ["d", 86400], ["h", 3600], ["min", 60]];
function ago(moment) {
  const seconds = (Date.now() - moment) / 1000, size = Math.abs(seconds);
  const unit = UNITS.find(([, length]) => size >= length);
  const text = unit ? `${Math.floor(size / unit[1])}\u00a0${unit[0]}` : size >= 5 ? `${Math.floor(size)}\u00a0s` : "";
  return !text ? (seconds >= 0 ? "just now" : "now") : seconds >= 0 ? `${text} ago` : `in ${text}`;
}
function times() {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const text = ago(Date.parse(element.dateTime));
    if (element.textContent !== text && !/\D{12,}/.test(element.textContent)) element.textContent = text;
  }
  for (const element of document.querySelectorAll("time[data-clock]")) {
    element.textContent = new Date(element.dateTime).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  }
}

// ---- small things ------------------------------------------------------------------------------------------------------
export function toast(text, state = "ok") {
  const box = document.createElement("div");
  box.className = `toast is-${state}`;
  const said = document.createElement("span");
  said.textContent = text;
  box.append(said);
  one("[data-toasts]").append(box);
  setTimeout(() => box.remove(), 4000);
}

const THEMES = { system: ["light", "Theme: system"], light: ["dark", "Theme: light"], dark: ["system", "Theme: dark"] };
function showTheme() { one("[data-theme-word]").textContent = THEMES[opsroomTheme.chosen()][1]; }
export function nextTheme() { opsroomTheme.choose(THEMES[opsroomTheme.chosen()][0]); showTheme(); }

addEventListener("click", async (event) => {
  const at = (selector) => event.target.closest?.(selector);
  const copied = at("[data-copy]");
  if (copied) {
    event.preventDefault();
    await navigator.clipboard?.writeText(copied.dataset.copy);
    toast("Copied");
  }
  if (at("[data-theme-next]")) nextTheme();
  const menu = at("[data-menu]");
  if (menu) menu.setAttribute("aria-expanded", String(document.getElementById("menu").classList.toggle("open")));
  at("[data-close]")?.closest(".toast").remove();
});
addEventListener("change", (event) => { if (event.target.matches?.("[data-submit]")) event.target.form.requestSubmit(); });
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) { event.preventDefault(); return; }
  if (form.method === "get") for (const field of form.elements) if (field.name && field.value === "" && field.type !== "search") field.disabled = true;
  if (form.method === "post") for (const button of form.querySelectorAll("button[type=submit]")) setTimeout(() => { button.disabled = true; });
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

showTheme();
one(".side nav [aria-current]")?.scrollIntoView({ block: "nearest" });
times();
setInterval(times, 10000);
for (const shown of document.querySelectorAll(".toast.is-ok")) setTimeout(() => shown.remove(), 6000);
startLive();
startKeys({ refresh, nextTheme });
enliven(document);
document.documentElement.dataset.ready = "yes";

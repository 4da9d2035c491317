// Charts: uPlot over /data/series, every change of the scope marked above, one card on hover, cursors that move together.
const GAP = null, SYNC = "page";
const drawn = new WeakMap();
let library = null;

export async function drawCharts(root) {
  await load();
  for (const figure of root.querySelectorAll("[data-chart]")) draw(figure);
}

addEventListener("opsroom:theme", () => { for (const figure of document.querySelectorAll("[data-chart]")) redraw(figure); });

function load() {
  library ??= new Promise((done, failed) => {
    const base = document.body.dataset.static, sheet = document.createElement("link"), script = document.createElement("script");
    sheet.rel = "stylesheet";
    sheet.href = `${base}vendor/uplot.css`;
    script.src = `${base}vendor/uplot.js`;
    script.onload = done;
    script.onerror = failed;
    document.head.append(sheet, script);
  });
  return library;
}

// ---- fetching ----------------------------------------------------------------------------------------------------------
const marksOf = new Map();
function changes(url) {
  const known = marksOf.get(url);
  if (known && performance.now() - known.at < 1000) return known.answer;
  const answer = fetch(url, { credentials: "same-origin" }).then((response) => (response.ok ? response.json() : { changes: [] })).then((told) => told.changes).catch(() => []);
  marksOf.set(url, { at: performance.now(), answer });
  return answer;
}

async function series(figure, spec) {
  if (spec.data) return { times: spec.data.times, series: spec.data.series };
  const answers = await Promise.all((spec.queries || []).map(async (query) => {
    const url = new URL(figure.dataset.seriesUrl, location.href);
    url.searchParams.set("query", query.query);
    if (query.name) url.searchParams.set("name", query.name);
    if (spec.step) url.searchParams.set("step", spec.step);
    const response = await fetch(url, { credentials: "same-origin" });
    const told = await response.json();
    if (!response.ok) throw new Error(told.detail || told.title);
    return { ...told, series: told.series.map((one) => ({ ...one, colour: query.colour })) };
  }));
  const times = answers[0]?.times || [];
  return { times, series: answers.flatMap((answer) => answer.series) };
}

// ---- drawing -----------------------------------------------------------------------------------------------------------
async function draw(figure) {
  const spec = JSON.parse(figure.dataset.chart), body = figure.querySelector(".chart-body");
  let told, marks;
  try {
    [told, marks] = await Promise.all([series(figure, spec), spec.marks ? changes(figure.dataset.changesUrl) : []]);
  } catch (error) {
    if (!drawn.has(figure)) note(body, `Unknown: ${error.message}`);
    return;
  }
  if (!told.series.some((one) => one.values.some((value) => value !== GAP))) {
    drawn.get(figure)?.plot.destroy();
    drawn.delete(figure);
    note(body, "No samples in this time.");
    return;
  }
  const before = drawn.get(figure);
  if (before && before.names === names(told)) {
    before.told = told;
    before.marks = marks;
    before.plot.setData(columns(told, spec));
    table(figure, told, spec);
    return;
  }
  before?.plot.destroy();
  build(figure, body, spec, told, marks);
}

function redraw(figure) {
  const state = drawn.get(figure);
  if (!state) return;
  state.plot.destroy();
  build(figure, figure.querySelector(".chart-body"), state.spec, state.told, state.marks);
}

const names = (told) => JSON.stringify(told.series.map((one) => one.name));
const columns = (told, spec) => [told.times, ...(spec.kind === "stack" ? stacked(told) : told.series.map((one) => one.values))];
function stacked(told) {
  const below = told.times.map(() => 0);
  return told.series.map((one) => one.values.map((value, at) => (below[at] += value || 0))).reverse();
}

function note(body, text) {
  const line = document.createElement("p");
  line.className = "chart-note";
  line.textContent = text;
  body.replaceChildren(line);
}

function palette() {
  const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    series: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => read(`series-${n}`)), text: read("muted"), line: read("line"), strong: read("line-strong"),
    failed: read("failed"), waiting: read("waiting"), accent: read("accent"), page: read("page"), ok: read("ok"),
  };
}

function build(figure, body, spec, told, marks) {
  const colours = palette(), state = { told, marks, spec, names: names(told), plot: null, hidden: new Set() };
  const colour = (index) => colours[told.series[index].colour] || told.series[index].colour || colours.series[index % 8];
  const order = spec.kind === "stack" ? told.series.map((_, at) => told.series.length - 1 - at) : told.series.map((_, at) => at);
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: colours.text, font, grid: { stroke: colours.line, width: 1 }, ticks: { show: false } };
  const fill = (css) => (spec.kind === "line" || !spec.kind ? undefined : spec.kind === "stack" ? `color-mix(in srgb, ${css} 50%, ${colours.page})` : `color-mix(in srgb, ${css} 14%, transparent)`);
  body.replaceChildren();
  const width = () => Math.max(200, body.clientWidth);
  state.plot = new uPlot({
    width: width(), height: spec.height || 160, padding: [12, 20, 0, 0],
    cursor: { sync: { key: SYNC, setSeries: false }, points: { size: 6 }, drag: { x: true, y: false }, y: false },
    legend: { show: false },
    scales: { x: { time: true, ...(spec.data?.until ? { range: () => [spec.data.times[0], spec.data.until] } : {}) }, y: { range: (_, low, high) => range(low, high, spec) } },
    axes: [{ ...axis, space: 72, size: 28, values: clockAxis }, { ...axis, size: 56, space: 32, values: (_, all) => all.map((value) => format(value, spec.unit, true)) }],
    series: [{}, ...order.map((index) => ({
      label: told.series[index].name, stroke: colour(index), width: 1.5, fill: fill(colour(index)), spanGaps: false, points: { show: false },
      paths: spec.kind === "bars" ? uPlot.paths.bars({ size: [0.7, 40] }) : undefined,
    }))],
    hooks: {
      drawClear: [(plot) => thresholds(plot, spec, colours)],
      draw: [(plot) => ticks(plot, state, body, colours)],
      setCursor: [(plot) => card(plot, state, body, colour)],
      setSelect: [(plot) => zoom(plot)],
    },
  }, columns(told, spec), body);
  new ResizeObserver(() => { if (state.plot.root.isConnected && Math.abs(state.plot.width - width()) > 1) state.plot.setSize({ width: width(), height: spec.height || 160 }); }).observe(body);
  legend(body, state, colour, order);
  table(figure, told, spec);
  drawn.set(figure, state);
}

function clockAxis(plot, splits, _axis, _space, step) {
  const two = (number) => String(number).padStart(2, "0");
  let day = -1;
  return splits.map((seconds) => {
    const at = new Date(seconds * 1000), date = `${at.getDate()} ${at.toLocaleString("en", { month: "short" })}`;
    const midnight = at.getHours() + at.getMinutes() === 0, changed = day >= 0 && day !== at.getDate();
    day = at.getDate();
    if (step >= 86400 || midnight || changed) return date;
    return `${two(at.getHours())}:${two(at.getMinutes())}${step < 60 ? `:${two(at.getSeconds())}` : ""}`;
  });
}

function range(low, high, spec) {
  const lines = (spec.thresholds || []).map((one) => one.value), top = Math.max(high ?? 0, ...lines), bottom = Math.min(0, low ?? 0);
  return [bottom, top > bottom ? bottom + (top - bottom) * 1.08 : bottom + 1];
}

function zoom(plot) {
  const { left, width } = plot.select;
  if (width < 8) return;
  const url = new URL(location.href), at = (x) => new Date(plot.posToVal(x, "x") * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  url.searchParams.set("since", at(left));
  url.searchParams.set("until", at(left + width));
  location.href = url;
}

function thresholds(plot, spec, colours) {
  const { ctx, bbox } = plot, ratio = devicePixelRatio;
  for (const one of spec.thresholds || []) {
    const y = Math.round(plot.valToPos(one.value, "y", true));
    if (y < bbox.top - 1 || y > bbox.top + bbox.height) continue;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colours.failed;
    ctx.lineWidth = ratio;
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${11 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textAlign = "right";
    const text = `${one.label || ""} ${format(one.value, spec.unit)}`.trim(), wide = ctx.measureText(text).width, right = bbox.left + bbox.width - 4 * ratio;
    ctx.fillStyle = colours.page;
    ctx.fillRect(right - wide - 2 * ratio, y - 15 * ratio, wide + 4 * ratio, 14 * ratio);
    ctx.fillStyle = colours.failed;
    ctx.fillText(text, right, y - 4 * ratio);
    ctx.restore();
  }
}

// ---- change marks ------------------------------------------------------------------------------------------------------
const NEAR = 12, APART = 26, LINES_APART = 3, LISTED = 8;

// Marks that would lie over each other become one with their number.
function clusters(plot, marks) {
  const { left, width } = plot.bbox, ratio = devicePixelRatio, found = [];
  const placed = marks.map((mark) => ({ mark, x: plot.valToPos(mark.time, "x", true) })).filter(({ x }) => x >= left && x <= left + width).sort((a, b) => a.x - b.x);
  const middle = (members) => members.reduce((sum, { x }) => sum + x, 0) / members.length;
  for (const one of placed) {
    found.push([one]);
    while (found.length > 1 && middle(found.at(-1)) - middle(found.at(-2)) < (found.at(-1).length + found.at(-2).length > 2 ? APART : NEAR) * ratio) {
      const last = found.pop();
      found.at(-1).push(...last);
    }
  }
  return found.map((members) => ({ marks: members.map(({ mark }) => mark), lines: members.map(({ x }) => x), x: middle(members) / ratio }));
}

function ticks(plot, state, body, colours) {
  const { ctx, bbox } = plot, ratio = devicePixelRatio;
  state.clusters = clusters(plot, state.marks);
  ctx.save();
  ctx.strokeStyle = colours.accent;
  ctx.globalAlpha = 0.55;
  ctx.lineWidth = ratio;
  ctx.setLineDash([2 * ratio, 3 * ratio]);
  let drawnAt = -Infinity;
  for (const x of state.clusters.flatMap((one) => one.lines)) {
    if (x - drawnAt < LINES_APART * ratio) continue;
    drawnAt = x;
    ctx.beginPath();
    ctx.moveTo(Math.round(x), bbox.top);
    ctx.lineTo(Math.round(x), bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
  body.querySelector(".chart-top")?.remove();
  const box = document.createElement("div");
  box.className = "chart-top";
  for (const one of state.clusters) box.append(tick(one, bbox.top / ratio, body));
  body.append(box);
}

const said = (mark) => `${mark.text}, by ${mark.actor}`;

function tick({ marks, x }, top, body) {
  const link = document.createElement("a"), [first] = marks;
  link.className = "chart-mark";
  link.title = marks.slice(0, LISTED).map((mark) => `${new Date(mark.time * 1000).toLocaleTimeString([], { hour12: false })}  ${said(mark)}`).join("\n");
  if (marks.length > 1) {
    if (marks.length > LISTED) link.title += `\nand ${marks.length - LISTED} more`;
    link.classList.add("several");
    link.textContent = marks.length;
    link.ariaLabel = `${marks.length} changes: ${marks.slice(0, LISTED).map(said).join("; ")}`;
    link.href = between(body, first.time, marks.at(-1).time);
  } else {
    link.ariaLabel = link.title;
    link.href = first.href;
    link.innerHTML = `<svg aria-hidden="true" viewBox="0 0 12 12"><use href="${document.body.dataset.static}states.svg#mark-${first.shape}"></use></svg>`;
  }
  link.style.left = `${x}px`;
  link.style.top = `${Math.max(0, top - 8)}px`;
  return link;
}

function between(body, first, last) {
  const url = new URL(body.closest("[data-changes-url]").dataset.changesUrl, location.href), at = (seconds) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  url.pathname = "/changes";
  url.searchParams.set("since", at(Math.floor(first)));
  url.searchParams.set("until", at(Math.floor(last) + 1));
  url.searchParams.set("only", "changes");
  return url;
}

// ---- the card on hover -------------------------------------------------------------------------------------------------
function card(plot, state, body, colour) {
  body.querySelector(".chart-card")?.remove();
  const { left, idx } = plot.cursor;
  if (left == null || left < 0 || idx == null) return;
  const time = state.told.times[idx], box = document.createElement("div"), at = document.createElement("time");
  const synced = !plot.root.matches(":hover");
  if (synced) return;
  box.className = "chart-card";
  at.textContent = new Date(time * 1000).toLocaleString([], { hour12: false });
  box.append(at);
  const rows = state.told.series.map((one, index) => ({ name: one.name, value: one.values[idx], css: colour(index), index }));
  rows.filter((row) => !state.hidden.has(row.index)).sort((a, b) => (b.value ?? -1) - (a.value ?? -1)).slice(0, 8).forEach((row) => box.append(line(row, state.spec.unit)));
  const over = (plot.over.offsetLeft + left), near = (state.clusters || []).filter((one) => Math.abs(one.x - over) < NEAR).flatMap((one) => one.marks);
  const told = near.slice(0, LISTED).map(said);
  if (near.length > LISTED) told.push(`and ${near.length - LISTED} more`);
  for (const text of told) {
    const row = document.createElement("div");
    row.className = "said";
    row.textContent = text;
    box.append(row);
  }
  body.append(box);
  const offset = plot.over.offsetLeft + left;
  box.style.left = `${offset > body.clientWidth / 2 ? Math.max(0, offset - box.offsetWidth - 16) : offset + 16}px`;
}

function line(row, unit) {
  const box = document.createElement("div"), swatch = document.createElement("i"), name = document.createElement("span"), value = document.createElement("b");
  box.className = "row";
  swatch.style.background = row.css;
  name.textContent = row.name;
  value.textContent = format(row.value, unit);
  box.append(swatch, name, value);
  return box;
}

function legend(body, state, colour, order) {
  const box = document.createElement("div");
  box.className = "chart-legend";
  state.told.series.forEach((one, index) => {
    const button = document.createElement("button"), swatch = document.createElement("i"), name = document.createElement("span"), value = document.createElement("b");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.title = "Show or hide";
    swatch.style.background = colour(index);
    name.textContent = one.name;
    value.textContent = format([...one.values].reverse().find((last) => last !== GAP) ?? GAP, state.spec.unit);
    button.append(swatch, name, value);
    button.onclick = () => {
      const show = state.hidden.has(index);
      state.hidden[show ? "delete" : "add"](index);
      button.setAttribute("aria-pressed", String(show));
      state.plot.setSeries(order.indexOf(index) + 1, { show });
    };
    box.append(button);
  });
  body.append(box);
}

// ---- the same as a table -----------------------------------------------------------------------------------------------
function table(figure, told, spec) {
  const details = figure.querySelector(".chart-table"), fill = () => { if (details.open) details.querySelector(".table-box").replaceChildren(rows(figure, told, spec)); };
  details.ontoggle = fill;
  fill();
}

function rows(figure, told, spec) {
  const made = document.createElement("table"), head = made.createTHead().insertRow(), every = Math.ceil(told.times.length / 60);
  made.createCaption().textContent = figure.dataset.title;
  made.caption.className = "unseen";
  for (const text of ["Time", ...told.series.map((one) => one.name)]) { const cell = document.createElement("th"); cell.scope = "col"; cell.textContent = text; head.append(cell); }
  const body = made.createTBody();
  told.times.forEach((time, at) => {
    if (at % every) return;
    const row = body.insertRow();
    row.insertCell().textContent = new Date(time * 1000).toLocaleString([], { hour12: false });
    for (const one of told.series) { const cell = row.insertCell(); cell.className = "end"; cell.textContent = format(one.values[at], spec.unit); }
  });
  return made;
}

// ---- numbers -----------------------------------------------------------------------------------------------------------
export function format(value, unit = "", short = false) {
  if (value === GAP || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value), space = "\u00a0";
  if (unit === "s") {
    if (size === 0) return `0${space}s`;
    const [scale, name] = size < 1e-3 ? [1e6, "µs"] : size < 1 ? [1e3, "ms"] : size < 120 ? [1, "s"] : size < 7200 ? [1 / 60, "min"] : [1 / 3600, "h"];
    return `${digits(value * scale)}${space}${name}`;
  }
  if (unit === "B") {
    const power = size < 1 ? 0 : Math.min(4, Math.floor(Math.log10(size) / 3));
    return `${digits(value / 1000 ** power)}${space}${["B", "kB", "MB", "GB", "TB"][power]}`;
  }
  if (unit === "%") return `${digits(value)}${space}%`;
  const text = size >= 1e6 ? `${digits(value / 1e6)}${space}M` : size >= 1e4 ? `${digits(value / 1e3)}${space}k` : digits(value);
  return unit && !short ? `${text}${space}${unit}` : text;
}
const digits = (value) => (value === 0 ? "0" : Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 4 }));

// Draws Mermaid by one hidden document of its own origin, and shows the result as an image: what a diagram says cannot run here.
let worker = null, next = 0;
const waiting = new Map();

export function drawDiagrams(root) {
  for (const figure of root.querySelectorAll("[data-mermaid]")) draw(figure);
}

addEventListener("opsroom:theme", () => drawDiagrams(document));

function frame() {
  worker ??= new Promise((ready) => {
    const element = document.createElement("iframe");
    element.className = "diagram-frame";
    element.setAttribute("sandbox", "allow-scripts");
    element.ariaHidden = "true";
    element.tabIndex = -1;
    element.title = "Draws diagrams";
    addEventListener("message", (event) => {
      if (event.source !== element.contentWindow) return;
      if (event.data.ready) { ready(element.contentWindow); return; }
      waiting.get(event.data.id)?.(event.data);
      waiting.delete(event.data.id);
    });
    element.src = "/diagram";
    document.body.append(element);
  });
  return worker;
}

async function draw(figure) {
  const text = figure.querySelector("pre code").textContent, theme = document.documentElement.dataset.theme;
  const box = figure.querySelector(".mermaid-drawing"), state = `${theme}\n${text}`;
  if (box.dataset.drawn === state) return;
  box.dataset.drawn = state;
  const target = await frame(), id = ++next;
  const style = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(["page", "raised", "line", "line-strong", "text", "muted", "accent", "accent-soft"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  const answer = await new Promise((done) => { waiting.set(id, done); target.postMessage({ id, text, colours, dark: theme === "dark" }, "*"); });
  if (answer.error) {
    const note = document.createElement("p");
    note.className = "muted";
    note.textContent = `The diagram cannot be drawn: ${answer.error}`;
    box.replaceChildren(note);
    figure.querySelector("details").open = true;
    return;
  }
  const image = new Image();
  image.alt = figure.dataset.mermaid;
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(answer.svg)}`;
  if (answer.width) image.width = Math.ceil(answer.width);
  box.replaceChildren(image);
}

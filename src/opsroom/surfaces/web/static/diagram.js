// Runs in the sandboxed document: takes a diagram's text, answers with its SVG.
addEventListener("message", async (event) => {
  if (event.source !== parent) return;
  const { id, text, colours, dark } = event.data;
  try {
    mermaid.initialize({
      startOnLoad: false, securityLevel: "strict", theme: "base", htmlLabels: false, flowchart: { htmlLabels: false, curve: "basis" },
      fontFamily: "system-ui, -apple-system, 'Segoe UI', sans-serif",
      themeVariables: {
        darkMode: dark, background: colours.page, primaryColor: colours.raised, primaryTextColor: colours.text, primaryBorderColor: colours["line-strong"],
        secondaryColor: colours["accent-soft"], tertiaryColor: colours.page, lineColor: colours["line-strong"], textColor: colours.text,
        clusterBkg: colours.page, clusterBorder: colours.line, edgeLabelBackground: colours.page, titleColor: colours.text, fontSize: "14px",
      },
    });
    const { svg } = await mermaid.render(`d${id}`, text);
    const width = Number(/viewBox="[-\d.]+ [-\d.]+ ([\d.]+)/.exec(svg)?.[1] || 0);
    parent.postMessage({ id, svg: new XMLSerializer().serializeToString(new DOMParser().parseFromString(svg, "text/html").querySelector("svg")), width }, "*");
  } catch (error) {
    document.getElementById(`dd${id}`)?.remove();
    parent.postMessage({ id, error: String(error.message || error).split("\n")[0] }, "*");
  }
});
parent.postMessage({ ready: true }, "*");

// Sets the theme before anything is drawn: what the reader chose, else what their system says.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return localStorage.getItem("opsroom-theme") || "system"; } catch { return "system"; } };
  const apply = () => {
    const wanted = chosen();
    const theme = wanted === "system" ? (system.matches ? "dark" : "light") : wanted;
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    dispatchEvent(new CustomEvent("opsroom:theme", { detail: theme }));
  };
  system.addEventListener("change", apply);
  addEventListener("storage", apply);
  window.opsroomTheme = {
    chosen,
    choose(theme) { try { localStorage.setItem("opsroom-theme", theme); } catch { /* private mode: for this page only */ } apply(); },
  };
  apply();
})();

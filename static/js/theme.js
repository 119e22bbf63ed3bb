// Runs before the first paint (a blocking script in <head>), so that a chosen theme never flashes.
(() => {
  const KEY = "berth-theme";
  const THEMES = ["auto", "light", "dark"];
  const root = document.documentElement;

  function stored() {
    try {
      const theme = localStorage.getItem(KEY);
      return THEMES.includes(theme) ? theme : "auto";
    } catch {
      return "auto"; // storage is blocked
    }
  }

  function apply(theme) {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    root.dataset.themeChoice = theme;
    document.dispatchEvent(new CustomEvent("berth:theme"));
    for (const button of document.querySelectorAll("[data-theme-toggle]")) label(button, theme);
  }

  function label(button, theme) {
    const text = `Theme: ${theme === "auto" ? "as the system" : theme}`;
    button.title = text;
    button.setAttribute("aria-label", text);
  }

  apply(stored());
  document.addEventListener("DOMContentLoaded", () => apply(stored()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = THEMES[(THEMES.indexOf(stored()) + 1) % THEMES.length];
    try {
      localStorage.setItem(KEY, next);
    } catch {
      root.dataset.themeChoice = next; // for this page only
    }
    apply(next);
  });
  // Whoever draws colours itself (the terminal) hears of a change by the system, too.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent("berth:theme"));
  });
  addEventListener("storage", (event) => event.key === KEY && apply(stored()));
})();

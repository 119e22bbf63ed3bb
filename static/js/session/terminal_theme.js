// The terminal's colours, light and dark. Background and text come from the page's tokens.

const DARK = {
  black: "#3b4c56",
  red: "#f2757f",
  green: "#4cc38a",
  yellow: "#e0a63f",
  blue: "#78aef5",
  magenta: "#c792ea",
  cyan: "#3fbfd2",
  white: "#c9d4da",
  brightBlack: "#7f929d",
  brightRed: "#ff98a0",
  brightGreen: "#7ee0ae",
  brightYellow: "#f3c56b",
  brightBlue: "#a4c9ff",
  brightMagenta: "#dfb5ff",
  brightCyan: "#7fe3f0",
  brightWhite: "#ffffff",
};
const LIGHT = {
  black: "#14232c",
  red: "#c0303c",
  green: "#1a7f4b",
  yellow: "#8f5b00",
  blue: "#2563b8",
  magenta: "#8b3fb0",
  cyan: "#0b7285",
  white: "#6b7b84",
  brightBlack: "#5f707a",
  brightRed: "#d64550",
  brightGreen: "#15803d",
  brightYellow: "#a16207",
  brightBlue: "#1d4ed8",
  brightMagenta: "#7e22ce",
  brightCyan: "#0e7490",
  brightWhite: "#14232c",
};

/** @param {HTMLElement} element whose styles hold the tokens */
export function terminalTheme(element) {
  const style = getComputedStyle(element);
  const token = (name) => style.getPropertyValue(name).trim();
  const isDark = style.colorScheme.includes("dark");
  return {
    ...(isDark ? DARK : LIGHT),
    background: token("--terminal-bg"),
    foreground: token("--text"),
    cursor: token("--terminal-bg"),
    overviewRulerBorder: token("--terminal-bg"),
    selectionBackground: isDark ? "#2f6f7d99" : "#9fd6e099",
    scrollbarSliderBackground: isDark ? "#94a5af40" : "#55666f40",
    scrollbarSliderHoverBackground: isDark ? "#94a5af70" : "#55666f70",
    scrollbarSliderActiveBackground: isDark ? "#94a5afa0" : "#55666fa0",
  };
}

/** Colours of the marks that the search puts on its finds. */
export function searchColours(element) {
  const isDark = getComputedStyle(element).colorScheme.includes("dark");
  return {
    matchBackground: isDark ? "#5c4a16" : "#ffe7a3",
    activeMatchBackground: isDark ? "#b07a10" : "#ffb938",
    matchOverviewRuler: "#d6a400",
    activeMatchColorOverviewRuler: "#ff8c00",
  };
}

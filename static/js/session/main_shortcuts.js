// Keys of the whole page. The list a person sees is templates/sessions/_session_shortcuts.html.

/**
 * @param {{composer: import("berth/session/composer").Composer,
 *          layout: import("berth/session/layout").Layout,
 *          terminal: import("berth/session/terminal").TerminalPanel}} parts
 */
export function wireShortcuts({ composer, layout, terminal }) {
  const dialog = document.querySelector("#shortcuts");
  const actions = {
    "?": () => dialog.showModal(),
    "/": () => {
      layout.show("timeline");
      composer.text.focus();
    },
    1: () => layout.show("timeline"),
    2: () => layout.show("terminal"),
    3: () => {
      layout.show("files");
      document.querySelector("#files-panel [role=treeitem][tabindex='0']")?.focus();
    },
    4: () => layout.show("shell"),
    f: () => {
      layout.show("terminal");
      terminal.search.open();
    },
    g: () => terminal.shown.follow(),
  };
  for (const button of document.querySelectorAll("[data-action=shortcuts]")) {
    button.addEventListener("click", () => dialog.showModal());
  }
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || !isFind(event) || layout.visiblePanel !== "terminal") return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    terminal.search.open();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function isFind(event) {
  return (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "f";
}

function isTyping(target) {
  if (target.closest?.("#files-panel [role=tree]")) return true; // letters look for names there
  if (target.closest?.("[data-shell]")) return true; // every key there is the shell's
  if (target.matches?.(".xterm-helper-textarea")) return false;
  return Boolean(target.closest?.("input, textarea, select, [contenteditable]"));
}

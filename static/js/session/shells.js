// The Shell tab: the shells of this session, one of them on view.

import { RequestError, post } from "berth/session/requests";
import { ShellTab } from "berth/session/shell_tab";
import { confirmDialog, toast } from "berth/ui";

export class ShellsPanel {
  /**
   * @param {HTMLElement} panel
   * @param {{sessionId: string, userName: string, socketUrl: string, callUrl(id: string): string,
   *          onShow(): void, onLeave(): void}} options
   */
  constructor(panel, options) {
    this.panel = panel;
    this.options = options;
    this.find = (name) => panel.querySelector(`[data-shells=${name}]`);
    this.screens = panel.querySelector(".shell-screens");
    /** What the log says. @type {Map<string, {shell_id: string, number: number, user: string, ended: object | null}>} */
    this.known = new Map();
    /** Those that are looked at. @type {Map<string, ShellTab>} */
    this.tabs = new Map();
    this.chosen = "";
    this.isVisible = this.isReady = this.isOpening = false;
    this.memory = new PageMemory(options.sessionId);
    this.#wire();
  }

  #wire() {
    for (const name of ["open", "first"]) this.find(name).addEventListener("click", () => this.open());
    this.find("action").addEventListener("click", () => this.#act());
    this.find("download").addEventListener("click", () => location.assign(`${this.options.callUrl(this.chosen)}?stream=pty`));
    this.find("list").addEventListener("click", (event) => this.#listClick(event));
    this.panel.querySelector(".shell-keys").addEventListener("pointerdown", (event) => {
      const button = event.target.closest("[data-key]");
      if (!button) return;
      event.preventDefault(); // the keyboard of a phone stays open
      this.shown?.press(button.dataset.key);
    });
    document.addEventListener("berth:theme", () => {
      for (const tab of this.tabs.values()) tab.screen.applyTheme();
    });
  }

  /** @returns {ShellTab | undefined} */
  get shown() {
    return this.tabs.get(this.chosen);
  }

  /** What a reload comes back to. */
  get wasShown() {
    return this.memory.read("shown") === "yes";
  }

  /** @param {boolean} isVisible */
  setVisible(isVisible) {
    this.isVisible = isVisible;
    if (this.isReady) this.memory.write("shown", isVisible ? "yes" : "");
    if (isVisible) this.#showChosen();
    this.shown?.show(isVisible);
  }

  /** The log was read to its end: what is open now is known. */
  caughtUp() {
    if (this.isReady) return;
    this.isReady = true;
    const kept = this.memory.read("chosen");
    this.chosen = this.known.has(kept) ? kept : (this.#listed[0]?.shell_id ?? "");
    this.render();
  }

  /** Those that run, and those that ended while they were looked at. */
  get #listed() {
    return [...this.known.values()].filter((shell) => !shell.ended || this.tabs.has(shell.shell_id));
  }

  /** @param {object[]} events of the session's log */
  write(events) {
    let isChanged = false;
    for (const event of events) {
      if (event.type === "shell.opened") {
        const number = this.known.get(event.shell_id)?.number ?? this.known.size + 1;
        this.known.set(event.shell_id, { shell_id: event.shell_id, number, user: event.user, ended: null });
      } else if (event.type === "shell.ended") {
        const shell = this.known.get(event.shell_id);
        if (shell) shell.ended = event.ending;
      } else continue;
      isChanged = true;
    }
    if (!isChanged || !this.isReady) return;
    if (this.isVisible && !this.chosen && !this.isOpening) this.#showChosen();
    this.render();
  }

  async open() {
    if (this.isOpening) return;
    this.isOpening = true;
    this.render();
    try {
      const { shell } = await post(`/sessions/${this.options.sessionId}/shells/`, {
        ...this.#size(),
        viewer: this.memory.viewer,
      });
      this.known.set(shell.shell_id, { ...shell, ended: this.known.get(shell.shell_id)?.ended ?? null });
      this.isOpening = false;
      this.choose(shell.shell_id);
      this.shown?.screen.focus();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      toast(error.message, "danger");
    } finally {
      this.isOpening = false;
      this.render();
    }
  }

  /** As it will be on this page, so that the first prompt is not drawn twice. */
  #size() {
    const cell = { width: 7.8, height: 16.25 };
    return {
      columns: String(Math.max(20, Math.floor((this.screens.clientWidth - 30) / cell.width) || 80)),
      rows: String(Math.max(5, Math.floor((this.screens.clientHeight - 14) / cell.height) || 24)),
    };
  }

  /** Look at one shell, be it one that has ended. */
  choose(shellId) {
    if (!this.known.has(shellId)) return;
    this.chosen = shellId;
    this.memory.write("chosen", shellId);
    this.options.onShow();
    this.#showChosen();
  }

  #showChosen() {
    // Whoever comes to look, looks at something: the latest of those there are.
    if (!this.known.has(this.chosen)) this.chosen = this.#listed.at(-1)?.shell_id ?? "";
    const shell = this.known.get(this.chosen);
    if (shell && !this.tabs.has(shell.shell_id)) {
      const tab = new ShellTab(this.screens, shell, {
        socketUrl: `${this.options.socketUrl}shells/${shell.shell_id}/`,
        viewer: this.memory.viewer,
        userName: this.options.userName,
        onChange: () => this.render(),
        onLeave: this.options.onLeave,
      });
      this.tabs.set(shell.shell_id, tab);
    }
    for (const [id, tab] of this.tabs) tab.show(id === this.chosen);
    this.render();
  }

  #listClick(event) {
    const item = event.target.closest("[data-shell-id]");
    if (!item) return;
    if (event.target.closest("[data-shell-close]")) void this.close(item.dataset.shellId);
    else {
      this.choose(item.dataset.shellId);
      this.shown?.screen.focus();
    }
  }

  async close(shellId) {
    const shell = this.known.get(shellId);
    if (!shell.ended) {
      const text = `Close Shell ${shell.number}? Everything that runs in it is ended.`;
      if (!(await confirmDialog(text, { danger: true, yes: "Close" }))) return;
      try {
        await post(`/sessions/${this.options.sessionId}/shells/${shellId}/close/`);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        toast(error.message, "danger");
        return;
      }
      shell.ended ??= { kind: "stopped" };
    }
    this.tabs.get(shellId)?.dispose();
    this.tabs.delete(shellId);
    if (this.chosen === shellId) this.chosen = this.#listed.at(-1)?.shell_id ?? "";
    this.#showChosen();
  }

  #act() {
    const { shown } = this;
    if (shown?.state.action === "take") shown.take();
    else if (shown?.state.action === "new") void this.open();
  }

  render() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.#render());
  }

  #render() {
    const listed = this.#listed;
    this.find("empty").hidden = listed.length > 0;
    this.panel.classList.toggle("has-shells", listed.length > 0);
    for (const name of ["open", "first"]) this.find(name).disabled = this.isOpening || !this.isReady;
    this.find("first").textContent = this.isOpening ? "Opening…" : "Open a shell";
    this.find("list").replaceChildren(...listed.map((shell) => this.#chip(shell)));
    const { shown } = this;
    const state = shown?.state ?? { name: "", text: "", level: "", action: "" };
    this.panel.dataset.state = state.name;
    const line = this.find("state");
    if (line.textContent !== state.text) line.textContent = state.text;
    line.dataset.level = state.level;
    const action = this.find("action");
    action.hidden = !state.action;
    action.textContent = state.action === "new" ? "New shell" : state.name === "free" ? "Take the keyboard" : "Take over";
    this.find("download").hidden = state.name !== "ended";
    this.panel.querySelector("[data-key=control]").setAttribute("aria-pressed", String(Boolean(shown?.isControlHeld)));
    for (const key of this.panel.querySelectorAll("[data-key]")) key.disabled = !shown?.canType;
  }

  #chip(shell) {
    const chip = document.querySelector("#template-shell-chip").content.firstElementChild.cloneNode(true);
    const isChosen = shell.shell_id === this.chosen;
    chip.dataset.shellId = shell.shell_id;
    chip.classList.toggle("is-ended", Boolean(shell.ended));
    chip.classList.toggle("is-chosen", isChosen);
    const button = chip.querySelector("[data-part=choose]");
    button.textContent = `Shell ${shell.number}`;
    button.title = `Opened by ${shell.user}`;
    if (isChosen) button.setAttribute("aria-current", "true");
    chip.querySelector("[data-shell-close]").setAttribute("aria-label", `Close Shell ${shell.number}`);
    return chip;
  }
}

/** What this tab of the browser keeps over a reload; nothing where storage is blocked. */
class PageMemory {
  constructor(sessionId) {
    this.prefix = `berth-shell:${sessionId}:`;
    const kept = this.read("viewer");
    this.viewer = /^[0-9a-f]{32}$/.test(kept) ? kept : crypto.randomUUID?.().replaceAll("-", "") ?? randomName();
    this.write("viewer", this.viewer);
  }

  read(name) {
    try {
      return sessionStorage.getItem(this.prefix + name) ?? "";
    } catch {
      return "";
    }
  }

  write(name, value) {
    try {
      sessionStorage.setItem(this.prefix + name, value);
    } catch {
      // storage is blocked
    }
  }
}

/** Plain http on another host has no randomUUID. */
function randomName() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// One xterm.js screen that is typed into: the writer's size, answers and links of hostile programs
// kept in bounds.

import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { Terminal } from "@xterm/xterm";
import { preludeOf } from "berth/session/shell_protocol";
import { terminalTheme } from "berth/session/terminal_theme";
import { confirmDialog, copyText, toast } from "berth/ui";

const SCROLLBACK_LINES = 10_000;
const FONT_PX = { usual: 13, least: 8 };
const SIZE_MS = 80;

export class ShellScreen {
  /**
   * @param {HTMLElement} host
   * @param {{onType(text: string): void, onBytes(bytes: Uint8Array): void, onLeave(): void,
   *          onRoom(columns: number, rows: number): void}} handlers `onRoom`: as much fits here
   */
  constructor(host, handlers) {
    this.host = host;
    this.handlers = handlers;
    this.canType = false;
    /** Until this byte is parsed, what programs asked for was answered before. */
    this.replayTo = 0;
    this.parsed = 0;
    this.terminal = new Terminal({
      allowProposedApi: true,
      cursorBlink: true,
      disableStdin: true,
      fontFamily: getComputedStyle(host).getPropertyValue("--font-mono"),
      fontSize: FONT_PX.usual,
      lineHeight: 1.25,
      linkHandler: { activate: (_, uri) => openLink(uri) },
      minimumContrastRatio: 4.5,
      scrollback: SCROLLBACK_LINES,
      theme: this.#theme(),
    });
    this.fitAddon = new FitAddon();
    this.terminal.loadAddon(this.fitAddon);
    this.terminal.loadAddon(new Unicode11Addon());
    this.terminal.unicode.activeVersion = "11";
    this.terminal.open(host);
    this.terminal.textarea?.setAttribute("aria-label", "Shell. Shift+Escape leaves it");
    this.terminal.onData((text) => this.#may() && handlers.onType(text));
    this.terminal.onBinary((text) => this.#may() && handlers.onBytes(bytesOf(text)));
    this.terminal.attachCustomKeyEventHandler((event) => this.#key(event));
    this.observer = new ResizeObserver(() => this.#soon());
    this.observer.observe(host);
  }

  #theme() {
    const theme = terminalTheme(this.host);
    return { ...theme, cursor: theme.foreground, cursorAccent: theme.background };
  }

  applyTheme() {
    this.terminal.options.theme = this.#theme();
  }

  /** While replaying, a program's questions of back then are parsed again; nobody asks them now. */
  #may() {
    return this.canType && this.parsed >= this.replayTo;
  }

  /** Whoever does not type gives no answers either: disableStdin keeps back reports as well. */
  setCanType(canType) {
    this.canType = canType;
    this.terminal.options.disableStdin = !canType;
    this.fit();
  }

  /** @param {{offset: number, columns: number, rows: number, prelude: string}} start */
  begin(start) {
    this.parsed = start.offset;
    this.terminal.resize(start.columns, start.rows);
    this.terminal.write(preludeOf(start));
    this.fit();
  }

  /** @param {Uint8Array} data @param {() => void} done when it is on the screen */
  write(offset, data, done) {
    this.terminal.write(data, () => {
      this.parsed = offset + data.length;
      done();
    });
  }

  gap(length, start) {
    const line = `\x18\x1b[0m\r\n\x1b[33m[Berth: ${length.toLocaleString("en")} bytes left out here]\x1b[0m\r\n`;
    this.terminal.write(line);
    this.resize(start.columns, start.rows);
    this.terminal.write(preludeOf(start));
  }

  /** In its place between the bytes, so that each is shown on the screen it was printed for. */
  resize(columns, rows) {
    this.terminal.write("", () => {
      this.terminal.resize(columns, rows);
      this.fit();
    });
  }

  #soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fit(), SIZE_MS);
  }

  /** The one who types gets a screen as large as the room; others one that shows theirs whole. */
  fit() {
    if (!this.host.clientWidth || !this.host.clientHeight) return;
    if (this.canType) {
      this.#setFont(FONT_PX.usual);
      const room = this.fitAddon.proposeDimensions();
      if (room && (room.cols !== this.terminal.cols || room.rows !== this.terminal.rows)) {
        this.handlers.onRoom(Math.max(2, room.cols), Math.max(1, room.rows));
      }
      return;
    }
    const screen = this.terminal.element?.querySelector(".xterm-screen");
    if (!screen?.clientWidth) return;
    const now = this.terminal.options.fontSize;
    const share = Math.min(this.host.clientWidth / (screen.clientWidth + 16), this.host.clientHeight / screen.clientHeight);
    this.#setFont(Math.max(FONT_PX.least, Math.min(FONT_PX.usual, Math.floor(now * share))));
  }

  #setFont(size) {
    if (this.terminal.options.fontSize !== size) this.terminal.options.fontSize = size;
  }

  #key(event) {
    const isChord = event.ctrlKey && event.shiftKey && !event.altKey;
    if (event.key === "Escape" && event.shiftKey) {
      if (event.type === "keydown") this.handlers.onLeave();
      event.preventDefault();
      return false;
    }
    if (isChord && event.code === "KeyC") {
      event.preventDefault(); // else the browser opens its inspector
      if (event.type === "keydown") this.copy();
      return false;
    }
    return !(isChord && event.code === "KeyV"); // the browser pastes, and xterm.js brackets it
  }

  async copy() {
    const text = this.terminal.getSelection();
    if (text && !(await copyText(text))) toast("Copying is not allowed here.", "warn");
    this.terminal.focus();
  }

  focus() {
    this.terminal.focus();
  }

  text() {
    const buffer = this.terminal.buffer.active;
    const lines = [];
    for (let y = 0; y < buffer.length; y += 1) lines.push(buffer.getLine(y).translateToString(true));
    return lines.join("\n").trimEnd();
  }

  dispose() {
    this.observer.disconnect();
    clearTimeout(this.timer);
    this.terminal.dispose();
  }
}

function bytesOf(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}

/** Its text may say anything: a person sees where it leads before they go there. */
async function openLink(uri) {
  if (!/^https?:\/\//i.test(uri)) return;
  if (await confirmDialog(`A program in the shell links to ${uri}`, { yes: "Open" })) {
    window.open(uri, "_blank", "noopener,noreferrer");
  }
}

// One xterm.js screen, read-only, fed with the events of all calls or of one.

import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { Terminal } from "@xterm/xterm";
import { TerminalFeed } from "berth/session/terminal_feed";
import { GUARD_OSC, MARK_OSC, TerminalSink } from "berth/session/terminal_sink";
import { searchColours, terminalTheme } from "berth/session/terminal_theme";

const SCROLLBACK_LINES = 100_000;
const HIGHLIGHT_MS = 1800;

export class TerminalView {
  /**
   * @param {HTMLElement} host
   * @param {{onScroll?(): void, onSearchResults?(results: {resultIndex: number,
   *          resultCount: number}): void}} handlers
   */
  constructor(host, handlers = {}) {
    this.host = host;
    this.handlers = handlers;
    this.terminal = new Terminal({
      allowProposedApi: true,
      convertEol: true,
      cursorInactiveStyle: "none",
      disableStdin: true,
      fontFamily: getComputedStyle(host).getPropertyValue("--font-mono"),
      fontSize: 13,
      lineHeight: 1.25,
      linkHandler: { activate() {} },
      minimumContrastRatio: 4.5,
      overviewRuler: { width: 10 },
      scrollback: SCROLLBACK_LINES,
      scrollOnUserInput: false,
      theme: terminalTheme(host),
    });
    this.fitAddon = new FitAddon();
    this.search = new SearchAddon({ highlightLimit: 2000 });
    for (const addon of [this.fitAddon, this.search, new Unicode11Addon()]) this.terminal.loadAddon(addon);
    this.terminal.unicode.activeVersion = "11";
    /** @type {Map<string, import("@xterm/xterm").IMarker>} */
    this.marks = new Map();
    this.guard = null;
    this.newLines = 0;
    this.sink = new TerminalSink(this.terminal);
    const setTimer = (run, ms) => setTimeout(() => this.#later(run), ms);
    this.feed = new TerminalFeed(this.sink, { setTimer });
    this.#watchParser();
    this.terminal.open(host);
    this.terminal.textarea?.setAttribute("aria-label", "Terminal output, read-only");
    this.terminal.textarea?.setAttribute("readonly", "");
    this.#watchScreen();
  }

  #later(run) {
    run();
    this.sink.flush(() => {});
  }

  /** Positions are taken while parsing, so that they are exact however late that happens. */
  #watchParser() {
    const { parser } = this.terminal;
    parser.registerOscHandler(MARK_OSC, (data) => {
      this.marks.get(data)?.dispose();
      this.marks.set(data, this.terminal.registerMarker(0));
      return true;
    });
    parser.registerOscHandler(GUARD_OSC, () => {
      this.guard?.dispose();
      this.guard = this.terminal.registerMarker(0);
      return true;
    });
    const isTooHigh = (params) => this.#isAboveGuard(params[0] || 1);
    parser.registerCsiHandler({ final: "A" }, isTooHigh);
    parser.registerCsiHandler({ final: "F" }, isTooHigh);
    parser.registerEscHandler({ final: "M" }, () => this.#isAboveGuard(1));
  }

  /** Whether moving up `lines` would leave the lines of the call that writes. */
  #isAboveGuard(lines) {
    if (this.sink.hasPage || !this.guard) return false;
    const { baseY, cursorY } = this.terminal.buffer.active;
    return baseY + cursorY - lines < this.guard.line;
  }

  #watchScreen() {
    const { terminal } = this;
    terminal.attachCustomKeyEventHandler((event) => this.#key(event));
    terminal.onLineFeed(() => {
      if (!this.isFollowing) this.newLines += 1;
    });
    terminal.onScroll(() => this.handlers.onScroll?.());
    terminal.onWriteParsed(() => this.handlers.onScroll?.());
    terminal.element?.querySelector(".xterm-viewport, .xterm-scrollable-element")
      ?.addEventListener("scroll", () => this.handlers.onScroll?.(), { passive: true });
    this.host.addEventListener("wheel", () => requestAnimationFrame(() => this.handlers.onScroll?.()), { passive: true });
    this.search.onDidChangeResults((results) => this.handlers.onSearchResults?.(results));
  }

  /** Keys only scroll; all others stay the browser's (copying, tabbing away, shortcuts). */
  #key(event) {
    if (event.type !== "keydown" || event.ctrlKey || event.metaKey || event.altKey) return false;
    const page = this.terminal.rows - 1;
    const moves = {
      ArrowUp: () => this.terminal.scrollLines(-1),
      ArrowDown: () => this.terminal.scrollLines(1),
      PageUp: () => this.terminal.scrollLines(-page),
      PageDown: () => this.terminal.scrollLines(page),
      Home: () => this.terminal.scrollToTop(),
      End: () => this.terminal.scrollToBottom(),
    };
    const move = moves[event.key];
    if (move) {
      event.preventDefault();
      move();
      this.handlers.onScroll?.();
    }
    return false;
  }

  get isFollowing() {
    const { viewportY, baseY } = this.terminal.buffer.active;
    return viewportY >= baseY;
  }

  follow() {
    this.newLines = 0;
    this.terminal.scrollToBottom();
    this.handlers.onScroll?.();
  }

  /** Stop following without moving: one line up, as a person would. */
  pause() {
    this.terminal.scrollLines(-1);
    this.handlers.onScroll?.();
  }

  /** @param {object[]} events only those of calls matter @param {() => void} done */
  write(events, done) {
    for (const event of events) {
      if (event.stream === "pty") continue; // of a person's shell, which has a screen of its own
      if (event.type === "output") this.feed.output(event);
      else if (event.type === "call.started") this.feed.callStarted(event);
      else if (event.type === "call.ended") this.feed.callEnded(event);
      else if (event.type === "output.dropped") this.feed.dropped(event);
    }
    this.sink.flush(done);
  }

  fit() {
    if (!this.host.clientWidth || !this.host.clientHeight) return;
    const wasFollowing = this.isFollowing;
    this.fitAddon.fit();
    if (wasFollowing) this.terminal.scrollToBottom();
  }

  applyTheme() {
    this.terminal.options.theme = terminalTheme(this.host);
  }

  /** Bring a call's separator to the top and light it up. False when it was scrolled out. */
  jumpTo(callId) {
    const marker = this.marks.get(encodeURIComponent(callId));
    if (!marker || marker.isDisposed || marker.line < 0) return false;
    this.terminal.scrollToLine(Math.max(0, marker.line - 1));
    const decoration = this.terminal.registerDecoration({
      marker,
      width: this.terminal.cols,
      layer: "top",
    });
    decoration?.onRender((element) => element.classList.add("terminal-highlight"));
    setTimeout(() => decoration?.dispose(), HIGHLIGHT_MS);
    this.handlers.onScroll?.();
    return true;
  }

  find(text, isBackwards, isIncremental = false) {
    const options = { incremental: isIncremental, decorations: searchColours(this.host) };
    if (isBackwards) this.search.findPrevious(text, options);
    else this.search.findNext(text, options);
  }

  clearSearch() {
    this.search.clearDecorations();
    this.terminal.clearSelection();
  }

  /** All text, wrapped lines joined. */
  text() {
    const buffer = this.terminal.buffer.active;
    const lines = [];
    for (let y = 0; y < buffer.length; y += 1) {
      const line = buffer.getLine(y);
      const text = line.translateToString(!buffer.getLine(y + 1)?.isWrapped);
      if (line.isWrapped && lines.length) lines[lines.length - 1] += text;
      else lines.push(text);
    }
    return lines.join("\n").replace(/\s+$/, "\n");
  }

  dispose() {
    this.terminal.dispose();
  }
}

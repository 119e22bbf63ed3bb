// Writes to xterm.js in order, and asks it where the cursor is at the two points that need it.

/** Our own sequences. Programs cannot send them: every OSC of theirs is taken out. */
export const MARK_OSC = 7777;
export const GUARD_OSC = 7778;

export class TerminalSink {
  /** @param {import("@xterm/xterm").Terminal} terminal */
  constructor(terminal) {
    this.terminal = terminal;
    this.text = "";
    /** @type {(string | (() => string) | {done: () => void})[]} */
    this.queue = [];
    this.isWaiting = false;
    /** Whether a program has the screen to itself. */
    this.hasPage = false;
  }

  /** How many characters a line holds at the moment. */
  get columns() {
    return this.terminal.cols;
  }

  write(text) {
    this.text += text;
  }

  mark(callId) {
    this.text += `\x1b]${MARK_OSC};${encodeURIComponent(callId)}\x07`;
  }

  /** Where a restored cursor goes, and the line no move goes above, are here from now on. */
  guard() {
    this.text += `\x1b7\x1b]${GUARD_OSC};\x07`;
  }

  /** Scroll what is on the screen away, so that a program that clears it clears only its own. */
  page() {
    this.#barrier(() => {
      const { cursorX, cursorY } = this.terminal.buffer.active;
      const isBlank = cursorX === 0 && cursorY === 0;
      const rows = this.terminal.rows;
      this.hasPage = true;
      return isBlank ? "" : `\x1b[${rows};1H${"\n".repeat(cursorY + (cursorX ? 1 : 0))}\x1b[H`;
    });
  }

  endPage() {
    this.#barrier(() => {
      this.hasPage = false;
      return `\x1b[r\x1b[${this.#lastUsedRow() + 1};1H\x1b[0m\n`;
    });
  }

  /** The last row of the screen with something on it or the cursor, from 0. */
  #lastUsedRow() {
    const buffer = this.terminal.buffer.active;
    for (let row = this.terminal.rows - 1; row > buffer.cursorY; row -= 1) {
      if (buffer.getLine(buffer.baseY + row)?.translateToString(true)) return row;
    }
    return buffer.cursorY;
  }

  /** Call `done` when everything written so far is on the screen. */
  flush(done) {
    this.#push({ done });
    this.#pump();
  }

  #barrier(decide) {
    this.#push(decide);
  }

  #push(item) {
    if (this.text) this.queue.push(this.text);
    this.text = "";
    this.queue.push(item);
  }

  #pump() {
    while (this.queue.length && !this.isWaiting) {
      const item = this.queue.shift();
      if (typeof item === "string") this.terminal.write(item);
      else if (typeof item === "function") {
        this.isWaiting = true;
        this.terminal.write("", () => {
          this.isWaiting = false;
          this.terminal.write(item());
          this.#pump();
        });
      } else this.terminal.write("", item.done);
    }
  }
}

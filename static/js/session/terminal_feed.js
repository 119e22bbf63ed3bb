// Makes one readable terminal out of the output of many calls: separators, endings, stderr in a
// colour of its own, whole lines of calls that run at the same time.
//
// It knows nothing of xterm.js. It writes to a sink:
//   write(text)      bytes for the terminal, in order
//   columns          how many characters a line holds at the moment
//   mark(id)         remember this position as the start of call `id`
//   guard()          nothing a program does reaches above this position from now on
//   page()           give what follows an empty screen; what was there goes to the scrollback
//   endPage()        go on below what is on the screen now

import { OutputScanner, PAGE, PAGE_END, RESET } from "berth/session/escape";
import { commandSummary, describeEnding, formatBytes, formatDuration, formatTime } from "berth/session/format";

/** How long one call's unfinished line keeps another call from writing. */
export const HOLD_MS = 150;
/** Live, a held line waits a little longer than in a replay, so that both decide alike. */
const LIVE_HOLD_MS = 250;

/** Not the red of failure: test runners and progress bars print there as well. */
const STDERR_COLOUR = "33";
/** A command is named by at least so much of it, also where its line is then too long. */
const MIN_NAME = 20;
/** A note of fewer characters than that says nothing. */
const MIN_NOTE = 8;
const DIM = "\x1b[90m";
const COLOURS = { ok: "\x1b[32m", warn: "\x1b[33m", danger: "\x1b[31m" };

/**
 * @typedef {{columns: number, write(text: string): void, mark(callId: string): void, guard(): void,
 *            page(): void, endPage(): void}} Sink
 * @typedef {{callId: string, stream: string, at: number, parts: (string | symbol)[],
 *            style: string}} Piece `style` sets the colours that its first character has
 */

class Call {
  constructor(event) {
    this.id = event.call_id;
    this.summary = commandSummary(event.command);
    this.writes = event.writes;
    /** @type {Map<string, {decoder: TextDecoder, scanner: OutputScanner}>} */
    this.streams = new Map();
  }

  /**
   * @param {Uint8Array} [data] nothing for the end of the stream
   * @returns {Piece}
   */
  read(name, at, data) {
    const { decoder, scanner } = this.#stream(name);
    const style = scanner.attributes.restore(scanner.base);
    const parts = scanner.feed(data ? decoder.decode(data, { stream: true }) : decoder.decode());
    return { callId: this.id, stream: name, at, parts, style };
  }

  #stream(name) {
    let stream = this.streams.get(name);
    if (!stream) {
      const base = name === "stderr" ? STDERR_COLOUR : "";
      stream = { decoder: new TextDecoder(), scanner: new OutputScanner(base) };
      this.streams.set(name, stream);
    }
    return stream;
  }
}

export class TerminalFeed {
  /**
   * @param {Sink} sink
   * @param {{setTimer?: (run: () => void, ms: number) => void}} options a clock of its own for tests
   */
  constructor(sink, { setTimer = (run, ms) => setTimeout(run, ms) } = {}) {
    this.sink = sink;
    this.setTimer = setTimer;
    /** @type {Map<string, Call>} calls that have started and not ended */
    this.running = new Map();
    /** @type {Piece[]} */
    this.held = [];
    this.writer = "";
    this.stream = "";
    this.isLineOpen = false;
    this.hasPage = false;
    this.isEmpty = true;
  }

  callStarted(event) {
    this.#release(true);
    this.#closeLine();
    const call = new Call(event);
    this.running.set(call.id, call);
    const { text, more } = call.summary;
    const saved = call.writes ? `saves ${commandSummary(call.writes).text}` : "";
    const notes = [saved, more > 0 ? `+${more} more line${more === 1 ? "" : "s"}` : ""].filter(Boolean);
    const prompt = event.tool === "python" ? ">>>" : "❯";
    const start = `─── ${formatTime(event.at)} ${prompt} `;
    // The name has its least first; what then does not fit is cut, for a line that wraps splits words.
    const room = this.sink.columns - start.length - Math.min(text.length, MIN_NAME);
    const all = notes.length ? `  ${notes.join(", ")}` : "";
    const noteText = all.length > room ? (room > MIN_NOTE ? `${all.slice(0, room - 1)}…` : "") : all;
    const note = `${DIM}${noteText}`;
    const name = this.#fit(text, start + noteText);
    this.sink.write(`${RESET}${this.isEmpty ? "" : "\n"}`);
    this.sink.mark(call.id);
    this.sink.write(`${DIM}─── ${formatTime(event.at)} \x1b[36m${prompt} \x1b[39;1m${name}\x1b[22m${note}\x1b[0m\n`);
    this.sink.guard();
    this.isEmpty = false;
    this.#become(call.id);
  }

  output(event) {
    if (this.held.length && event.at - this.held[0].at >= HOLD_MS) this.#release(true);
    const call = this.#call(event);
    const piece = call.read(event.stream, event.at, event.data);
    if (piece.parts.length) this.#take(piece);
  }

  dropped(event) {
    this.#release(true);
    this.#switchTo(this.#call(event).id);
    this.#closeLine();
    this.sink.write(`\x1b[33m··· ${formatBytes(event.length)} of ${event.stream} left out here ···\x1b[0m\n`);
  }

  callEnded(event) {
    this.#release(true);
    const call = this.running.get(event.call_id);
    if (!call) return;
    for (const name of call.streams.keys()) {
      const rest = call.read(name, event.at);
      if (rest.parts.length) this.#emit(rest);
    }
    const isAlone = this.running.size === 1 && this.writer === call.id;
    this.#closeLine();
    const { text, level } = describeEnding(event.ending);
    const time = event.duration_ms === undefined ? "" : ` · ${formatDuration(event.duration_ms)}`;
    const name = isAlone ? "" : `  ${DIM}❮ ${this.#fit(call.summary.text, `${text}${time}  ❮ `)}`;
    this.sink.write(`${RESET}${COLOURS[level]}${text}${DIM}${time}${name}\x1b[0m\n`);
    this.sink.guard();
    this.running.delete(call.id);
    this.writer = "";
  }

  /** A call that is known by its output alone: its start was lost with an older log. */
  #call(event) {
    if (!this.running.has(event.call_id)) {
      this.callStarted({ call_id: event.call_id, command: event.call_id, writes: "", at: event.at });
    }
    return this.running.get(event.call_id);
  }

  /** @param {Piece} piece */
  #take(piece) {
    const mustWait = this.isLineOpen && this.writer && piece.callId !== this.writer;
    if (mustWait || this.held.some((other) => other.callId === piece.callId)) {
      if (!this.held.length) this.setTimer(() => this.#release(true), LIVE_HOLD_MS);
      this.held.push(piece);
      return;
    }
    this.#emit(piece);
    if (!this.isLineOpen) this.#release(false);
  }

  /** Write what was held: all of it, or as much as splits nobody's line. */
  #release(isForced) {
    const waiting = this.held;
    this.held = [];
    for (const piece of waiting) {
      if (isForced) this.#emit(piece);
      else this.#take(piece);
    }
  }

  /** @param {Piece} piece */
  #emit(piece) {
    this.#switchTo(piece.callId);
    if (piece.stream !== this.stream) this.sink.write(piece.style);
    this.stream = piece.stream;
    for (const part of piece.parts) {
      if (part === PAGE) {
        if (!this.hasPage) this.sink.page();
        this.hasPage = true;
      } else if (part === PAGE_END) this.#endPage();
      else {
        this.sink.write(part);
        this.isLineOpen = !part.endsWith("\n");
      }
    }
  }

  #switchTo(callId) {
    if (callId === this.writer) return;
    this.#closeLine();
    const call = this.running.get(callId);
    const name = this.#fit(call?.summary.text ?? callId, "┄┄┄ ");
    this.sink.write(`${RESET}${DIM}┄┄┄ ${name}\x1b[0m\n`);
    this.sink.guard();
    this.#become(callId);
  }

  /** A command's name, as much of it as fits a line beside the rest of that line. */
  #fit(name, rest) {
    const most = Math.max(MIN_NAME, this.sink.columns - rest.length);
    return name.length > most ? `${name.slice(0, most - 1)}…` : name;
  }

  #become(callId) {
    this.writer = callId;
    this.stream = "";
    this.isLineOpen = false;
  }

  #closeLine() {
    this.#endPage();
    if (this.isLineOpen) this.sink.write("\x1b[0m\n");
    this.isLineOpen = false;
    this.stream = "";
  }

  #endPage() {
    if (!this.hasPage) return;
    this.hasPage = false;
    this.isLineOpen = false;
    this.sink.endPage();
  }
}

// What a program prints, made safe for a terminal it shares with others.
//
// One scanner per call and stream. It takes decoded text in pieces cut anywhere and gives back
// only whole sequences, so that after every piece the terminal is between two of them: whatever
// is inserted there (a colour, a separator) splits nothing. It keeps an allow-list: text, line
// movement, colours and moves within the call's own lines. Everything else disappears: titles,
// reports, the clipboard, links, bells, window operations, modes, erasing the scrollback.

import { Attributes } from "berth/session/escape_sgr";

/** The program is about to use the whole screen; the terminal gives it a page of its own. */
export const PAGE = Symbol("page");
/** It leaves the alternate screen: its page is over. */
export const PAGE_END = Symbol("page end");

const MAX_CSI = 256;
/** A string sequence longer than this was none: what follows is shown. */
const MAX_OSC = 8 * 1024;
const MAX_STRING = 1024 * 1024;
const MAX_REPEAT = 500;
const MAX_COUNT = 9999;

// In ground state these need a look; all other characters pass in one piece.
const SPECIAL = /[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]/g;
const STRING_END = /[\x07\x18\x1a\x1b\x9c]/g;

/** Cursor moves and edits by their final byte. `page` ones address the screen, not the line. */
const MOVES = new Set("ABCDEFGIZ@PXKLM`aesu".split(""));
const PAGE_MOVES = new Set("HfdSTr".split(""));

export class OutputScanner {
  /** @param {string} base SGR parameters of this stream's own colour, "" for none */
  constructor(base = "") {
    this.base = base;
    this.attributes = new Attributes();
    this.state = this.#ground;
    this.sequence = "";
    this.swallowed = 0;
    this.isOsc = false;
    /** @type {(string | symbol)[]} */
    this.out = [];
    this.text = "";
  }

  /**
   * @param {string} text the next piece
   * @returns {(string | symbol)[]} safe text, and PAGE or PAGE_END between it
   */
  feed(text) {
    this.out = [];
    this.text = "";
    let at = 0;
    while (at < text.length) at = this.state.call(this, text, at);
    this.#flush();
    return this.out;
  }

  #flush() {
    if (this.text) this.out.push(this.text);
    this.text = "";
  }

  #page(mark) {
    this.#flush();
    this.out.push(mark);
  }

  // Each state takes the text and a position and returns the position behind what it used.

  #ground(text, at) {
    SPECIAL.lastIndex = at;
    const found = SPECIAL.exec(text);
    if (!found) {
      this.text += text.slice(at);
      return text.length;
    }
    this.text += text.slice(at, found.index);
    this.#control(found[0]);
    return found.index + 1;
  }

  #control(char) {
    switch (char) {
      case "\x1b":
        this.#start(this.#escape);
        break;
      case "\x9b":
        this.#start(this.#csi);
        break;
      case "\x90":
      case "\x98":
      case "\x9e":
      case "\x9f":
        this.#startString(false);
        break;
      case "\x9d":
        this.#startString(true);
        break;
      case "\x0b":
      case "\x0c":
      case "\x84":
      case "\x85":
        this.text += char === "\x84" ? "\x1bD" : "\n";
        break;
      case "\x0e":
      case "\x0f":
        this.text += char; // line-drawing characters on and off
        break;
      default: // bell, enquiry, null and the rest
    }
  }

  #start(state) {
    this.sequence = "";
    this.state = state;
  }

  #startString(isOsc) {
    this.swallowed = 0;
    this.isOsc = isOsc;
    this.state = this.#string;
  }

  #escape(text, at) {
    const char = text[at];
    if (char >= " " && char <= "/") {
      this.sequence = (this.sequence + char).slice(0, 4);
      return at + 1;
    }
    this.state = this.#ground;
    if (char < " " || char > "~") return at; // not part of a sequence: looked at again
    if (this.sequence) this.#charset(char);
    else this.#afterEscape(char);
    return at + 1;
  }

  #afterEscape(char) {
    if (char === "[") this.#start(this.#csi);
    else if (char === "]") this.#startString(true);
    else if ("PX^_".includes(char)) this.#startString(false);
    else if ("78DEM".includes(char)) this.text += `\x1b${char}`;
  }

  /** `ESC ( 0` draws lines, `ESC ( B` letters; other sets are taken for letters. */
  #charset(char) {
    const slot = this.sequence;
    if (slot === "(" || slot === ")") this.text += `\x1b${slot}${char === "0" ? "0" : "B"}`;
  }

  #string(text, at) {
    STRING_END.lastIndex = at;
    const found = STRING_END.exec(text);
    const room = (this.isOsc ? MAX_OSC : MAX_STRING) - this.swallowed;
    const length = (found ? found.index : text.length) - at;
    if (length >= room) {
      this.state = this.#ground;
      return at + room;
    }
    this.swallowed += length;
    if (!found) return text.length;
    if (found[0] === "\x07" && !this.isOsc) {
      this.swallowed += 1;
      return found.index + 1;
    }
    this.state = this.#ground;
    // ESC begins the terminator `ESC \` or another sequence: either way it is looked at again.
    return found[0] === "\x1b" ? found.index : found.index + 1;
  }

  #csi(text, at) {
    const char = text[at];
    if (char >= "@" && char <= "~") {
      this.state = this.#ground;
      if (this.sequence.length <= MAX_CSI) this.#dispatch(this.sequence, char);
      return at + 1;
    }
    if (char >= " " && char <= "?") {
      if (this.sequence.length <= MAX_CSI) this.sequence += char;
      return at + 1;
    }
    if ("\n\r\t\b".includes(char)) {
      this.text += char; // a terminal acts on these inside a sequence, and so do we
      return at + 1;
    }
    if (char < " " && char !== "\x1b" && char !== "\x18" && char !== "\x1a") return at + 1;
    this.state = this.#ground;
    return at;
  }

  #dispatch(params, final) {
    if (!/^[\d;:]*$/.test(params)) {
      if (/^\?[\d;]*$/.test(params) && (final === "h" || final === "l")) this.#mode(params.slice(1), final);
      return;
    }
    if (final === "m") this.#style(params);
    else if (params.includes(":")) return;
    else if (final === "J") this.#erase(params);
    else if (final === "b") this.text += `\x1b[${clamp(params, MAX_REPEAT)}b`;
    else if (MOVES.has(final)) this.text += `\x1b[${clamp(params, MAX_COUNT)}${final}`;
    else if (PAGE_MOVES.has(final)) {
      this.#page(PAGE);
      this.text += `\x1b[${clamp(params, MAX_COUNT)}${final}`;
    } else if ((final === "h" || final === "l") && params === "4") this.text += `\x1b[4${final}`;
  }

  #style(params) {
    this.attributes.apply(params);
    this.text += `\x1b[${params}m`;
    if (this.base && !this.attributes.hasForeground) this.text += `\x1b[${this.base}m`;
  }

  /** Below the cursor in place; upwards or everything on a page of its own; never the past. */
  #erase(params) {
    const what = Number.parseInt(params, 10) || 0;
    if (what === 1 || what === 2) this.#page(PAGE);
    if (what <= 2) this.text += `\x1b[${what}J`;
  }

  #mode(params, final) {
    for (const param of params.split(";")) {
      if (param === "7") this.text += `\x1b[?7${final}`;
      else if (param === "1049" || param === "1047" || param === "47") {
        this.#page(final === "h" ? PAGE : PAGE_END);
        if (final === "h") this.text += "\x1b[H\x1b[2J";
      }
    }
  }
}

/** The parameters with no number above `max`. */
function clamp(params, max) {
  return params.replace(/\d+/g, (digits) => `${Math.min(Number(digits), max)}`);
}

/** Puts everything a program may have set back, without moving the cursor. */
export const RESET = "\x1b[0m\x0f\x1b(B\x1b)B\x1b[?7h\x1b[4l";

const SEQUENCES =
  /[\x1b](?:\[[ -?]*[@-~]?|\][^\x07\x1b]*(?:\x07|\x1b\\|$)|[PX^_][^\x1b]*(?:\x1b\\|$)|[ -/]*[0-~]?)|\x9b[ -?]*[@-~]?/g;

/**
 * The last lines of `text` as a person would see them: no sequences, and of a line that was
 * rewritten (`\r`) only its last state.
 */
export function plainTail(text, lines) {
  const plain = text.replace(SEQUENCES, "").replace(/\r+\n/g, "\n").replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, "");
  const rows = plain.split("\n").map((row) => row.replace(/\r+$/, "").replace(/^.*\r/s, "").trimEnd());
  while (rows.length && !rows[rows.length - 1]) rows.pop();
  return rows.slice(-lines).join("\n");
}

/** All of `text` without sequences and control characters. */
export function plainText(text) {
  return plainTail(text, Infinity);
}

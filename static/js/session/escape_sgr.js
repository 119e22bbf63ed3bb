// Which colours and styles a program has set, so that they can be put back after another wrote.

/** SGR codes that switch one attribute on or off: code -> [attribute, value]. */
const SIMPLE = new Map([
  [1, ["weight", "1"]],
  [2, ["weight", "2"]],
  [22, ["weight", ""]],
  [3, ["italic", "3"]],
  [23, ["italic", ""]],
  [4, ["underline", "4"]],
  [21, ["underline", "21"]],
  [24, ["underline", ""]],
  [5, ["blink", "5"]],
  [6, ["blink", "5"]],
  [25, ["blink", ""]],
  [7, ["inverse", "7"]],
  [27, ["inverse", ""]],
  [8, ["hidden", "8"]],
  [28, ["hidden", ""]],
  [9, ["strike", "9"]],
  [29, ["strike", ""]],
  [53, ["overline", "53"]],
  [55, ["overline", ""]],
  [39, ["foreground", ""]],
  [49, ["background", ""]],
  [59, ["underlineColour", ""]],
]);
const EXTENDED = new Map([
  [38, "foreground"],
  [48, "background"],
  [58, "underlineColour"],
]);

/** The attributes in force after any number of SGR sequences. Its size does not grow with them. */
export class Attributes {
  constructor() {
    /** @type {Map<string, string>} */
    this.set = new Map();
  }

  get hasForeground() {
    return this.set.has("foreground");
  }

  /** @param {string} params what stands between `CSI` and `m`, for example `1;38;5;9` */
  apply(params) {
    const parts = params.split(";");
    for (let i = 0; i < parts.length; i += 1) {
      const part = parts[i];
      const code = Number.parseInt(part, 10) || 0;
      if (part.includes(":")) this.#colon(code, part);
      else if (EXTENDED.has(code)) i += this.#extended(code, parts, i);
      else this.#simple(code);
    }
  }

  #simple(code) {
    if (code === 0) this.set.clear();
    else if (SIMPLE.has(code)) this.#put(...SIMPLE.get(code));
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) this.#put("foreground", `${code}`);
    else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) this.#put("background", `${code}`);
  }

  /** `4:3` and `38:2::r:g:b`: one parameter that carries all of its value. */
  #colon(code, part) {
    if (part.length > 40) return;
    if (EXTENDED.has(code)) this.#put(EXTENDED.get(code), part);
    else if (code === 4) this.#put("underline", part === "4:0" ? "" : part);
  }

  /** `38;5;n` and `38;2;r;g;b`: how many parameters it took beside the first. */
  #extended(code, parts, at) {
    const length = parts[at + 1] === "5" ? 2 : parts[at + 1] === "2" ? 4 : 0;
    if (length === 0 || at + length >= parts.length) return parts.length;
    const numbers = parts.slice(at, at + length + 1).map((part) => Number.parseInt(part, 10) || 0);
    this.#put(EXTENDED.get(code), numbers.join(";"));
    return length;
  }

  #put(attribute, value) {
    if (value) this.set.set(attribute, value);
    else this.set.delete(attribute);
  }

  /** A sequence that makes these attributes, and only these, the ones in force. */
  restore(base = "") {
    const codes = ["0", ...(base && !this.hasForeground ? [base] : []), ...this.set.values()];
    return `\x1b[${codes.join(";")}m`;
  }
}

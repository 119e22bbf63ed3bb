// The keys a phone's keyboard lacks, as the bytes that terminals send for them.

const ARROWS = { up: "A", down: "B", right: "C", left: "D" };
const OTHERS = { escape: "\x1b", tab: "\t", interrupt: "\x03" };

/** @param {string} name @param {boolean} isApplication whether the program asked for that form */
export function keySequence(name, isApplication) {
  if (Object.hasOwn(ARROWS, name)) return `\x1b${isApplication ? "O" : "["}${ARROWS[name]}`;
  return Object.hasOwn(OTHERS, name) ? OTHERS[name] : "";
}

/** What Ctrl makes of a character; anything else stays as it is. */
export function withControl(text) {
  if (text.length !== 1) return text;
  const code = text.toUpperCase().charCodeAt(0);
  if (text === "?") return "\x7f";
  if (text === " ") return "\0";
  return code >= 0x40 && code < 0x60 ? String.fromCharCode(code & 0x1f) : text;
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { OutputScanner, PAGE, PAGE_END, plainTail, plainText } from "berth/session/escape";

function scan(text, base = "") {
  return new OutputScanner(base).feed(text);
}

/** Fed in pieces cut at `cuts`; neighbouring strings joined, so that cuts do not show. */
function scanPieces(text, cuts, base = "") {
  const scanner = new OutputScanner(base);
  const parts = [];
  let from = 0;
  for (const to of [...cuts, text.length]) {
    parts.push(...scanner.feed(text.slice(from, to)));
    from = to;
  }
  return joined(parts);
}

function joined(parts) {
  const out = [];
  for (const part of parts) {
    if (typeof part === "string" && typeof out.at(-1) === "string") out[out.length - 1] += part;
    else out.push(part);
  }
  return out;
}

test("text, line ends, tabs, returns and backspaces pass as they are", () => {
  const text = "héllo 🎉\n\r 10%\r 20%\b\tend";
  assert.deepEqual(scan(text), [text]);
});

test("colours and moves within the line pass", () => {
  const text = "\x1b[1;31mred\x1b[0m\x1b[38;2;1;2;3mrgb\x1b[4:3mcurly\x1b[2K\x1b[1A\x1b[10G\x1b[3D\x1b[K\x1b[0J";
  assert.deepEqual(scan(text), [text]);
});

const HARMLESS = {
  "title": "\x1b]0;pwned\x07",
  "title ended by ST": "\x1b]2;pwned\x1b\\",
  "title by one byte": "\x9d0;pwned\x9c",
  "clipboard": "\x1b]52;c;aGVsbG8=\x07",
  "link": "\x1b]8;;https://evil.example\x07",
  "palette": "\x1b]4;1;rgb:00/00/00\x07",
  "our own mark": "\x1b]7777;call\x07",
  "device attributes": "\x1b[c\x1b[>c\x1b[=c\x1bZ",
  "cursor report": "\x1b[6n\x1b[?6n\x1b[5n",
  "version report": "\x1b[>q",
  "mode report": "\x1b[?2026$p",
  "window operations": "\x1b[8;1;1t\x1b[3t\x1b[21t",
  "status string": "\x1bP$qm\x1b\\",
  "sixel": "\x1bPq#0;2;0;0;0~~\x1b\\",
  "application command": "\x1b_Gf=100;AAAA\x1b\\",
  "privacy message": "\x1b^secret\x1b\\",
  "start of string": "\x1bXsecret\x1b\\",
  "erase the scrollback": "\x1b[3J",
  "full reset": "\x1bc",
  "soft reset": "\x1b[!p",
  "screen full of E": "\x1b#8",
  "mouse": "\x1b[?1000h\x1b[?1003h\x1b[?1006h",
  "bracketed paste": "\x1b[?2004h",
  "synchronised output": "\x1b[?2026h",
  "hidden cursor": "\x1b[?25l",
  "reverse video": "\x1b[?5h",
  "cursor shape": "\x1b[2 q",
  "tab stops": "\x1bH\x1b[3g",
  "keyboard protocol": "\x1b[>4;2m\x1b[>1u\x1b[?u",
  "bells and enquiries": "\x07\x05\x00\x7f\x07",
  "keypad": "\x1b=\x1b>",
  "other coding": "\x1b%G",
};
for (const [name, sequence] of Object.entries(HARMLESS)) {
  test(`${name}: nothing of it reaches the terminal`, () => {
    assert.equal(scan(`a${sequence}b`).join(""), "ab");
  });
}

test("programs that use the whole screen get a page of their own", () => {
  assert.deepEqual(scan("a\x1b[Hb"), ["a", PAGE, "\x1b[Hb"]);
  assert.deepEqual(scan("\x1b[2J"), [PAGE, "\x1b[2J"]);
  assert.deepEqual(scan("\x1b[?1049hvim\x1b[?1049lout"), [PAGE, "\x1b[H\x1b[2Jvim", PAGE_END, "out"]);
  assert.deepEqual(scan("\x1b[3;10r"), [PAGE, "\x1b[3;10r"]);
});

test("counts are bounded", () => {
  assert.deepEqual(scan("\x1b[999999999b"), ["\x1b[500b"]);
  assert.deepEqual(scan("\x1b[999999999999999999999A"), ["\x1b[9999A"]);
});

test("a sequence that never ends does not swallow the rest for ever", () => {
  const out = scan(`\x1b]0;${"x".repeat(20_000)}\nvisible`).join("");
  assert.ok(out.endsWith("\nvisible"));
  assert.equal(scan(`\x1b[${"1;".repeat(5000)}mvisible`).join(""), "visible");
});

test("a cut-off sequence is held back, and forgotten when nothing follows", () => {
  const scanner = new OutputScanner();
  assert.deepEqual(scanner.feed("a\x1b[3"), ["a"]);
  assert.deepEqual(scanner.feed("1mb"), ["\x1b[31mb"]);
  assert.deepEqual(scanner.feed("\x1b]0;never ended"), []);
});

test("escape within a sequence begins a new one", () => {
  assert.equal(scan("\x1b[3\x1b[31mx").join(""), "\x1b[31mx");
  assert.equal(scan("\x1b]0;title\x1b[31mx").join(""), "\x1b[31mx");
});

test("line ends inside a sequence still end the line", () => {
  assert.equal(scan("\x1b[3\n1mx").join(""), "\n\x1b[31mx");
});

test("stderr keeps its own colour wherever the program sets none", () => {
  assert.equal(scan("\x1b[1mbold\x1b[0mplain", "91").join(""), "\x1b[1m\x1b[91mbold\x1b[0m\x1b[91mplain");
  assert.equal(scan("\x1b[32mgreen\x1b[39mback", "91").join(""), "\x1b[32mgreen\x1b[39m\x1b[91mback");
});

test("what is in force can be put back after another wrote", () => {
  const scanner = new OutputScanner();
  scanner.feed("\x1b[1;4;38;5;9;48;2;1;2;3m\x1b[24m");
  assert.equal(scanner.attributes.restore(), "\x1b[0;1;38;5;9;48;2;1;2;3m");
  scanner.feed("\x1b[m");
  assert.equal(scanner.attributes.restore("91"), "\x1b[0;91m");
});

test("style changes without end do not grow the state", () => {
  const scanner = new OutputScanner();
  for (let i = 0; i < 5000; i += 1) scanner.feed(`\x1b[38;5;${i % 256};1;3;4;7m`);
  assert.ok(scanner.attributes.restore().length < 60);
});

// A small generator of its own, so that a failure can be repeated.
function randomSource(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
}

const PIECES = [
  "text", "\n", "\r", "é🎉", "\x1b", "[", "]", "0;", "31", "m", "\x07", "\x1b\\", "\x1b[31m", "\x1b[2J", "\x1b[H",
  "\x9b1m", "\x1b[?1049h", "\x1b[?1049l", "\x1bP", "\x18", "\x1b(0", "\x1b(B", "?", ";", "J", "\x1b[6n", "\x00", ":",
];

test("where the pieces are cut makes no difference", () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const next = randomSource(seed);
    const text = Array.from({ length: 40 }, () => PIECES[next(PIECES.length)]).join("");
    const cuts = [...new Set(Array.from({ length: 12 }, () => next(text.length)))].sort((a, b) => a - b);
    assert.deepEqual(scanPieces(text, cuts, "91"), joined(scan(text, "91")), `seed ${seed}`);
  }
});

test("whatever comes in, only allowed sequences come out, whole", () => {
  const allowed = /^(?:[^\x00-\x07\x0b\x0c\x10-\x1f\x7f-\x9f]|\x1b[78DEM]|\x1b[()][0B]|\x1b\[(?:[\d;:]*m|[\d;]*[ABCDEFGIZ@PXKLM`aesubHfdSTr]|[012]?J|4[hl]|\?7[hl]))*$/u;
  for (let seed = 1; seed <= 500; seed += 1) {
    const next = randomSource(seed * 7919);
    const text = Array.from({ length: 60 }, () =>
      next(2) ? PIECES[next(PIECES.length)] : String.fromCharCode(next(256)),
    ).join("");
    for (const part of scan(text)) {
      if (typeof part === "string") assert.match(part, allowed, `seed ${seed}`);
    }
  }
});

test("a flood is scanned in time that grows with its length alone", () => {
  const line = `${"x".repeat(70)}\x1b[32mok\x1b[0m\n`;
  const text = line.repeat(20_000);
  const start = performance.now();
  scan(text);
  const seconds = (performance.now() - start) / 1000;
  // 11 to 18 MB/s were seen on a busy machine. This much holds on any; quadratic work does not.
  assert.ok(text.length / 1e6 / seconds > 1, `${(text.length / 1e6 / seconds).toFixed(1)} MB/s`);
});

test("the last lines are shown as a person saw them", () => {
  assert.equal(plainTail("one\ntwo\n\x1b[31mthree\x1b[0m\n10%\r50%\r100%\n\n", 3), "two\nthree\n100%");
  assert.equal(plainTail("\x1b]0;title\x07shown\x07", 3), "shown");
  assert.equal(plainText("a\r\nb\x1b[1mc\x1b[0m\n"), "a\nbc");
});

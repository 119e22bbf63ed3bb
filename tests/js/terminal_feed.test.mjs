import assert from "node:assert/strict";
import { test } from "node:test";
import { HOLD_MS, TerminalFeed } from "berth/session/terminal_feed";

/** Notes what a terminal would get; sequences that set colours are left out of `text`. */
class Screen {
  constructor() {
    this.raw = "";
    this.columns = 120;
    this.marks = [];
    this.timers = [];
    this.feed = new TerminalFeed(this, { setTimer: (run) => this.timers.push(run) });
  }

  write(text) {
    this.raw += text;
  }

  mark(callId) {
    this.marks.push(callId);
  }

  guard() {
    this.raw += "";
  }

  page() {
    this.raw += "<page>";
  }

  endPage() {
    this.raw += "<end page>";
  }

  get text() {
    return this.raw.replace(/\x1b\[[\d;?]*[a-zA-Z]|\x1b[()]B|\x0f/g, "").replace(/─── [\d:]+ ❯/g, "───");
  }

  get lines() {
    return this.text.split("\n").filter(Boolean);
  }
}

const encoder = new TextEncoder();
let clock = 0;

function start(screen, id, command = `run ${id}`, more = {}) {
  clock += 1;
  screen.feed.callStarted({ call_id: id, command, writes: "", at: clock, ...more });
}

function print(screen, id, text, { stream = "stdout", at = (clock += 1) } = {}) {
  clock = at;
  const data = typeof text === "string" ? encoder.encode(text) : text;
  screen.feed.output({ call_id: id, stream, at, data });
}

function end(screen, id, ending = { kind: "exit", exit_code: 0 }) {
  screen.feed.callEnded({ call_id: id, ending, duration_ms: 1200, at: (clock += 1) });
}

test("a call has a separator before it and its ending after it", () => {
  const screen = new Screen();
  start(screen, "a", "python3 sort.py");
  print(screen, "a", "hello\n");
  end(screen, "a");
  assert.deepEqual(screen.lines, ["─── python3 sort.py", "hello", "exit 0 · 1.2 s"]);
  assert.deepEqual(screen.marks, ["a"]);
});

test("code of an interpreter has the prompt of one", () => {
  const screen = new Screen();
  start(screen, "a", "x = 1\nx", { tool: "python" });
  assert.match(screen.lines[0], /^─── [\d:]+ >>> x = 1  \+1 more line$/);
});

test("a command of many lines is named by its first, and the rest is counted", () => {
  const screen = new Screen();
  start(screen, "a", "# sort.py\nimport random\nprint(1)", { writes: "sort.py" });
  assert.equal(screen.lines[0], "─── # sort.py  saves sort.py, +2 more lines");
});

test("the notes behind a command are cut where both do not fit one line", () => {
  for (const columns of [30, 40, 47, 60, 80]) {
    const screen = new Screen();
    screen.columns = columns;
    start(screen, "a", "python3 two.py", { writes: "one.py, two.py, three.py" });
    const [line] = screen.raw.replace(/\x1b\[[!\d;?]*[a-zA-Z]|\x1b[()]B|\x0f/g, "").split("\n").filter(Boolean);
    assert.ok(line.length <= columns, `${columns}: ${line}`);
    assert.ok(line.includes("python3 two.py"), line);
    assert.equal(line.includes("saves one"), columns > 40, line);
  }
});

test("a long command is cut so that its lines fit the terminal", () => {
  const screen = new Screen();
  screen.columns = 60;
  start(screen, "a", "x".repeat(200));
  start(screen, "b", "y".repeat(200));
  print(screen, "a", "a1\n");
  end(screen, "b");
  const lines = screen.raw.replace(/\x1b\[[!\d;?]*[a-zA-Z]|\x1b[()]B|\x0f/g, "").split("\n").filter((line) => line.includes("…"));
  assert.deepEqual(lines.map((line) => line.length), [60, 60, 60, 60]);
});

test("a command's own escape sequences do not reach the separator", () => {
  const screen = new Screen();
  start(screen, "a", "printf '\x1b[2J\x1b]0;x\x07'");
  assert.ok(!screen.raw.includes("\x1b[2J"));
  assert.ok(!screen.raw.includes("\x1b]0"));
});

test("an unfinished last line is finished before the ending", () => {
  const screen = new Screen();
  start(screen, "a");
  print(screen, "a", "no newline");
  end(screen, "a");
  assert.deepEqual(screen.lines.slice(1), ["no newline", "exit 0 · 1.2 s"]);
});

test("colours left on do not reach the ending or the next call", () => {
  const screen = new Screen();
  start(screen, "a");
  print(screen, "a", "\x1b[31mred");
  end(screen, "a");
  assert.match(screen.raw, /red\x1b\[0m\n\x1b\[0m/);
});

test("stderr has a colour of its own, and stdout gets its own back", () => {
  const screen = new Screen();
  start(screen, "a");
  print(screen, "a", "\x1b[32mgreen ");
  print(screen, "a", "warning ", { stream: "stderr" });
  print(screen, "a", "still green\n");
  assert.ok(screen.raw.includes("\x1b[0;33mwarning \x1b[0;32mstill green"));
});

test("a chunk begins with the colours that were in force before it", () => {
  const screen = new Screen();
  start(screen, "a");
  print(screen, "a", "plain\x1b[8mhidden");
  assert.ok(screen.raw.includes("\x1b[0mplain\x1b[8mhidden"));
});

test("characters cut between two pieces are whole again, also between streams", () => {
  const screen = new Screen();
  const [first, second] = [encoder.encode("é🎉").slice(0, 3), encoder.encode("é🎉").slice(3)];
  start(screen, "a");
  print(screen, "a", first);
  print(screen, "a", "err", { stream: "stderr" });
  print(screen, "a", second);
  end(screen, "a");
  assert.ok(screen.text.includes("éerr🎉"));
});

test("bytes that are no text are shown as such and stop nothing", () => {
  const screen = new Screen();
  start(screen, "a");
  print(screen, "a", new Uint8Array([0xff, 0x41, 0xc3]));
  end(screen, "a");
  assert.ok(screen.text.includes("\ufffdA\ufffd"));
});

test("calls that run together take turns at line ends", () => {
  const screen = new Screen();
  start(screen, "a");
  start(screen, "b");
  print(screen, "a", "a1 ", { at: 1000 });
  print(screen, "b", "b1\n", { at: 1010 });
  print(screen, "a", "a2\n", { at: 1020 });
  print(screen, "b", "b2\n", { at: 1030 });
  assert.deepEqual(screen.lines.slice(2), ["┄┄┄ run a", "a1 a2", "┄┄┄ run b", "b1", "b2"]);
});

test("a line that stays unfinished gives way after a moment", () => {
  const screen = new Screen();
  start(screen, "a");
  start(screen, "b");
  print(screen, "a", "progress 1%\r", { at: 1000 });
  print(screen, "b", "b1\n", { at: 1010 });
  assert.ok(!screen.text.includes("b1"));
  print(screen, "a", "progress 2%\r", { at: 1010 + HOLD_MS });
  assert.ok(screen.text.includes("┄┄┄ run b\nb1\n┄┄┄ run a\nprogress 2%"));
});

test("what waits is written by the clock when nothing else comes", () => {
  const screen = new Screen();
  start(screen, "a");
  start(screen, "b");
  print(screen, "a", "partial", { at: 1000 });
  print(screen, "b", "b1\n", { at: 1010 });
  for (const run of screen.timers) run();
  assert.ok(screen.text.includes("partial\n┄┄┄ run b\nb1"));
});

test("a call that ends waits for nobody", () => {
  const screen = new Screen();
  start(screen, "a");
  start(screen, "b");
  print(screen, "a", "partial", { at: 1000 });
  print(screen, "b", "b1\n", { at: 1001 });
  end(screen, "b");
  assert.deepEqual(screen.lines.slice(2), ["┄┄┄ run a", "partial", "┄┄┄ run b", "b1", "exit 0 · 1.2 s  ❮ run b"]);
});

test("no byte is lost or doubled however calls interleave", () => {
  let seed = 42;
  const next = (below) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % below;
  for (let round = 0; round < 50; round += 1) {
    const screen = new Screen();
    const printed = { a: "", b: "", c: "" };
    for (const id of ["a", "b", "c"]) start(screen, id);
    for (let i = 0; i < 60; i += 1) {
      const id = "abc"[next(3)];
      const text = `${id}${i}${["", "\n", " "][next(3)]}`;
      printed[id] += text;
      clock += next(100);
      print(screen, id, text);
    }
    for (const id of ["a", "b", "c"]) end(screen, id);
    const body = screen.text.replace(/^(?:───|┄┄┄|exit).*\n/gm, "");
    for (const id of ["a", "b", "c"]) {
      const own = (body.match(new RegExp(`${id}\\d+`, "g")) ?? []).join("");
      assert.equal(own, printed[id].replace(/\s/g, ""), `round ${round}`);
    }
  }
});

test("a screen of its own ends with the call", () => {
  const screen = new Screen();
  start(screen, "a", "htop");
  print(screen, "a", "\x1b[?1049h\x1b[Hcpu 5%\x1b[H");
  end(screen, "a");
  assert.match(screen.text, /<page>[^]*cpu 5%[^]*<end page>[^]*exit 0/);
  assert.equal(screen.text.split("<page>").length, 2);
});

test("bytes that were not kept are counted where they are missing", () => {
  const screen = new Screen();
  start(screen, "a");
  print(screen, "a", "head");
  screen.feed.dropped({ call_id: "a", stream: "stdout", offset: 4, length: 12_582_912, at: clock });
  assert.ok(screen.text.includes("head\n··· 12 MiB of stdout left out here ···\n"));
});

test("output of a call whose start is unknown is shown all the same", () => {
  const screen = new Screen();
  print(screen, "x", "late\n");
  assert.deepEqual(screen.lines, ["─── x", "late"]);
});

for (const [ending, text] of [
  [{ kind: "exit", exit_code: 3 }, "exit 3"],
  [{ kind: "signal", signal: "SIGSEGV" }, "killed by SIGSEGV"],
  [{ kind: "timeout", timeout_s: 120 }, "timed out after 120 s"],
  [{ kind: "stopped", signal: "SIGKILL" }, "stopped"],
  [{ kind: "oom", limit_bytes: 2 ** 30, peak_bytes: 2 ** 30 - 4096 }, "out of memory (limit 1 GiB, peak 1 GiB)"],
  [{ kind: "disk_full" }, "disk full"],
  [{ kind: "disk_full", limit_bytes: 16 * 2 ** 20 }, "disk full (limit 16 MiB)"],
  [{ kind: "disk_full", limit_bytes: 2 ** 24, used_bytes: 2 ** 24 + 2 ** 20 }, "disk full (limit 16 MiB, used 17 MiB)"],
  [{ kind: "container_lost" }, "container lost"],
]) {
  test(`the ending says: ${text}`, () => {
    const screen = new Screen();
    start(screen, "a");
    end(screen, "a", ending);
    assert.equal(screen.lines.at(-1), `${text} · 1.2 s`);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameError } from "berth/session/protocol";
import { MAX_WAITING_BYTES, ShellInput } from "berth/session/shell_input";
import { keySequence, withControl } from "berth/session/shell_keys";
import { inputFrame, parseControl, parseOutput, preludeOf } from "berth/session/shell_protocol";

const bytes = (text) => new TextEncoder().encode(text);

function typed() {
  const sent = [];
  const input = new ShellInput((offset, data) => sent.push([offset, new TextDecoder().decode(data)]));
  input.isOpen = true;
  return { input, sent };
}

test("a frame is an offset and bytes, both ways", () => {
  const frame = inputFrame(2 ** 40 + 1, bytes("ab"));
  const { offset, data } = parseOutput(frame.buffer);
  assert.equal(offset, 2 ** 40 + 1);
  assert.deepEqual([...data], [97, 98]);
});

test("frames that break the format are refused", () => {
  assert.throws(() => parseOutput(new ArrayBuffer(8)), FrameError);
  assert.throws(() => parseOutput(new Uint8Array(16).fill(255).buffer), FrameError);
  assert.throws(() => parseControl("{"), FrameError);
  assert.throws(() => parseControl("[1]"), FrameError);
  assert.deepEqual([...preludeOf({ prelude: btoa("\x1b[0m\xff") })], [27, 91, 48, 109, 255]);
});

test("keys go out at once, within the credit", () => {
  const { input, sent } = typed();
  input.reset(10, 14);
  input.add(bytes("abc"));
  input.add(bytes("def"));
  assert.deepEqual(sent, [[10, "abc"], [13, "d"]]);
  input.credit(13, 20);
  assert.deepEqual(sent.at(-1), [14, "ef"]);
});

test("a large paste goes out in pieces as there is room", () => {
  const { input, sent } = typed();
  const paste = "0123456789".repeat(30_000);
  input.reset(0, 100_000);
  input.add(bytes(paste));
  for (let got = 100_000; got < paste.length; got += 50_000) input.credit(got, got + 50_000);
  assert.equal(sent.map(([, text]) => text).join(""), paste);
  let at = 0;
  for (const [offset, text] of sent) {
    assert.equal(offset, at);
    assert.ok(text.length <= 48 * 1024);
    at += text.length;
  }
});

test("after a cut only what the server lacks is sent again", () => {
  const { input, sent } = typed();
  input.reset(0, 100);
  input.add(bytes("abc"));
  input.add(bytes("def"));
  input.isOpen = false;
  sent.length = 0;
  input.isOpen = true;
  input.resume(4, 100);
  assert.deepEqual(sent, [[4, "ef"]]);
});

test("after another page typed nothing is sent again", () => {
  const { input, sent } = typed();
  input.reset(0, 100);
  input.isOpen = false;
  input.add(bytes("late"));
  input.isOpen = true;
  input.resume(50, 100);
  assert.deepEqual(sent, []);
  input.add(bytes("x"));
  assert.deepEqual(sent, [[50, "x"]]);
});

test("a page keeps only so much", () => {
  const { input } = typed();
  input.reset(0, 10);
  assert.ok(input.add(new Uint8Array(MAX_WAITING_BYTES - 10)));
  assert.ok(!input.add(new Uint8Array(100)));
});

test("keys that a phone lacks", () => {
  assert.equal(keySequence("up", false), "\x1b[A");
  assert.equal(keySequence("left", true), "\x1bOD");
  assert.equal(keySequence("escape", false), "\x1b");
  assert.equal(keySequence("constructor", false), "");
  assert.equal(withControl("c"), "\x03");
  assert.equal(withControl("["), "\x1b");
  assert.equal(withControl("ä"), "ä");
  assert.equal(withControl("paste"), "paste");
});

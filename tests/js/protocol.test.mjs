import assert from "node:assert/strict";
import { test } from "node:test";
import { Crc32 } from "berth/session/digest";
import { commandSummary, formatBytes, formatClock, formatDuration } from "berth/session/format";
import { FrameError, Sequence, ackFrame, followFrame, parseBinaryFrame, parseTextFrame } from "berth/session/protocol";
import { applyEvent, newState } from "berth/session/state";

function binary(outputs, ...pieces) {
  const header = new TextEncoder().encode(JSON.stringify({ outputs }));
  const body = pieces.flatMap((piece) => [...new TextEncoder().encode(piece)]);
  const bytes = new Uint8Array(4 + header.length + body.length);
  new DataView(bytes.buffer).setUint32(0, header.length);
  bytes.set(header, 4);
  bytes.set(body, 4 + header.length);
  return bytes.buffer;
}

const output = (seq, length, more = {}) => ({ seq, at: 1, call_id: "a", stream: "stdout", offset: 0, length, ...more });

test("a binary frame is taken apart into its outputs", () => {
  const events = parseBinaryFrame(binary([output(1, 2), output(2, 0), output(3, 3, { stream: "stderr" })], "ab", "cde"));
  assert.deepEqual(events.map((event) => new TextDecoder().decode(event.data)), ["ab", "", "cde"]);
  assert.deepEqual(events.map((event) => event.stream), ["stdout", "stdout", "stderr"]);
  assert.ok(events.every((event) => event.type === "output"));
});

for (const [name, frame] of Object.entries({
  "an empty frame": new ArrayBuffer(0),
  "a header longer than the frame": new Uint8Array([0, 0, 1, 0, 123]).buffer,
  "a huge header": new Uint8Array([255, 255, 255, 255, 123, 125]).buffer,
  "a header that is no JSON": new Uint8Array([0, 0, 0, 2, 97, 98]).buffer,
  "a header without outputs": new Uint8Array([0, 0, 0, 2, 123, 125]).buffer,
  "fewer bytes than promised": binary([output(1, 9)], "short"),
  "more bytes than promised": binary([output(1, 1)], "more"),
  "a negative length": binary([output(1, -1)]),
  "an output without a number": binary([output(undefined, 0)]),
})) {
  test(`${name} is refused`, () => assert.throws(() => parseBinaryFrame(frame), FrameError));
}

for (const text of ["", "nonsense", "null", "7", "[]", "{}", '{"type":7}', '{"type":"events"}', '{"type":"events","events":[{}]}']) {
  test(`the text frame ${JSON.stringify(text)} is refused`, () => {
    assert.throws(() => parseTextFrame(text), FrameError);
  });
}

test("frames to the server carry what it accepts", () => {
  assert.deepEqual(JSON.parse(followFrame(7)), { type: "follow", after: 7 });
  assert.deepEqual(JSON.parse(followFrame(7, "c")), { type: "follow", after: 7, call_id: "c" });
  assert.deepEqual(JSON.parse(ackFrame(9)), { type: "ack", seq: 9 });
});

test("every event is let through once, in order", () => {
  const sequence = new Sequence(2);
  assert.deepEqual(sequence.take([{ seq: 1 }, { seq: 2 }, { seq: 3 }, { seq: 4 }]), [{ seq: 3 }, { seq: 4 }]);
  assert.deepEqual(sequence.take([{ seq: 4 }]), []);
  assert.equal(sequence.last, 4);
});

test("a gap is noticed, and nothing behind it is let through", () => {
  const sequence = new Sequence(2);
  assert.throws(() => sequence.take([{ seq: 3 }, { seq: 5 }]), FrameError);
  assert.equal(sequence.last, 2);
});

test("with a filter on the server, gaps are expected and steps back are not", () => {
  const sequence = new Sequence(0, false);
  assert.deepEqual(sequence.take([{ seq: 5 }, { seq: 9 }]), [{ seq: 5 }, { seq: 9 }]);
  assert.throws(() => sequence.take([{ seq: 12 }, { seq: 11 }]), FrameError);
});

test("the checksum is that of zlib, in any pieces", () => {
  const crc = new Crc32();
  crc.update(new TextEncoder().encode("1234"));
  crc.update(new TextEncoder().encode("56789"));
  assert.equal(crc.hex, "cbf43926");
});

test("figures read as a person writes them", () => {
  assert.deepEqual([0, 1023, 1024, 1536, 1024 ** 2 - 1, 2 ** 30].map(formatBytes), ["0 B", "1023 B", "1 KiB", "1.5 KiB", "1 MiB", "1 GiB"]);
  assert.deepEqual([0, 250, 1234, 42_900, 187_000].map(formatDuration), ["0.00 s", "0.25 s", "1.2 s", "42 s", "3:07"]);
  assert.equal(formatClock(3_765_000), "1:02:45");
});

test("a command is named by its first line that says something", () => {
  assert.deepEqual(commandSummary("\n\n  ls -l\npwd"), { text: "ls -l", more: 1 });
  assert.equal(commandSummary("a\u202eb\x1bc").text, "abc");
  assert.equal(commandSummary("x".repeat(500)).text.length, 120);
});

test("the state follows turns, queue, calls and tokens", () => {
  const state = newState();
  const events = [
    { type: "turn.queued", turn: 1, text: "one", files: [], at: 1 },
    { type: "turn.queued", turn: 2, text: "two", files: [], at: 2 },
    { type: "turn.queued", turn: 3, text: "three", files: [], at: 3 },
    { type: "turn.started", turn: 1, at: 4 },
    { type: "turn.removed", turn: 3 },
    { type: "call.started", call_id: "a" },
    { type: "step.ended", input_tokens: 10, output_tokens: 5 },
    { type: "turn.stopping", turn: 1 },
  ];
  for (const event of events) applyEvent(state, event);
  assert.deepEqual(state.queue.map(({ turn }) => turn), [2]);
  assert.deepEqual(state.running, { turn: 1, at: 4, isStopping: true });
  assert.equal(state.inputTokens + state.outputTokens, 15);
  applyEvent(state, { type: "turn.ended", turn: 1, duration_ms: 900 });
  assert.equal(state.running, null);
  assert.equal(state.runningCalls.size, 0);
  assert.equal(state.workedMs, 900);
});

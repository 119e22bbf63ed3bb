import assert from "node:assert/strict";
import { test } from "node:test";

import { describeShellEnd } from "berth/session/format";
import { describeRest } from "berth/session/rest_words";
import { RestNote, isOfRest } from "berth/session/timeline_rest";

const NOW = 1_000_000;
const idle = (left, expiresAfterS = 20 * 60) => ({
  container_state: "connected",
  suspends_at: NOW + left,
  archive_bytes: 0,
  expires_after_s: expiresAfterS,
});

test("a session that works says nothing", () => {
  assert.equal(describeRest(null, NOW).kind, "none");
  assert.equal(describeRest({ container_state: "connected", suspends_at: null }, NOW).kind, "none");
});

test("the time is told in whole minutes, then by the second", () => {
  assert.deepEqual(describeRest(idle(20 * 60_000), NOW), { kind: "waits", text: "Suspends in 20 min" });
  assert.deepEqual(describeRest(idle(19 * 60_000 + 1), NOW), { kind: "waits", text: "Suspends in 20 min" });
  assert.deepEqual(describeRest(idle(4 * 3_600_000), NOW), { kind: "waits", text: "Suspends in 4 h" });
  assert.deepEqual(describeRest(idle(72 * 3_600_000), NOW), { kind: "waits", text: "Suspends in 3 days" });
  assert.deepEqual(describeRest(idle(90_000), NOW), { kind: "soon", text: "Suspends in 1:30" });
  assert.deepEqual(describeRest(idle(-5), NOW), { kind: "soon", text: "Suspends in 0:00" });
});

test("a suspended or archived one says so", () => {
  assert.equal(describeRest({ container_state: "suspended", suspends_at: null }, NOW).text, "Suspended");
  const archived = { container_state: "expired", suspends_at: null, archive_bytes: 3 * 1024 * 1024 };
  assert.deepEqual(describeRest(archived, NOW), { kind: "archived", text: "Archived, 3 MiB" });
  assert.equal(describeRest({ ...archived, archive_bytes: 0 }, NOW).text, "Archived");
});

test("of a short time only the end is soon", () => {
  assert.equal(describeRest(idle(50_000, 60), NOW).kind, "waits");
  assert.equal(describeRest(idle(14_000, 60), NOW).kind, "soon");
});

test("what keeps it is named instead of a time that will not come", () => {
  for (const left of [20 * 60_000, 30_000]) {
    const kept = { kind: "kept", text: "Kept by a program in a shell" };
    assert.deepEqual(describeRest(idle(left), NOW, "shell"), kept);
    assert.equal(describeRest(idle(left), NOW, "program").text, "Kept by a program in the background");
  }
  const suspended = { container_state: "suspended", suspends_at: null };
  assert.equal(describeRest(suspended, NOW, "shell").kind, "suspended");
  assert.equal(describeRest(idle(90_000), NOW, "").kind, "soon");
});

function noted(...states) {
  const parts = { text: { textContent: "" }, hint: { textContent: "" } };
  const note = new RestNote({ querySelector: (name) => parts[/part=(\w+)/.exec(name)[1]] });
  states.forEach((state, at) => note.add({ state, reason: `now ${state}`, at: at * 1000 }));
  return [parts.text.textContent, parts.hint.textContent.replace(/\d\d:\d\d:\d\d/, "then")];
}

test("a container that rests again and again is told of once", () => {
  assert.deepEqual(noted("suspended"), ["now suspended", ""]);
  assert.deepEqual(noted("suspended", "connected"), ["now connected", "Since then: suspended, started again."]);
  const often = noted("suspended", "connected", "suspended", "connected", "suspended", "expired");
  assert.deepEqual(often, ["now expired", "Since then: suspended 3 times, started again twice, archived."]);
  assert.deepEqual(noted("suspended", "suspended"), ["now suspended", ""]);
  assert.ok(!isOfRest({ state: "failed" }));
});

test("the end of a shell says each thing once", () => {
  const text = (ending, reason) => describeShellEnd(ending, reason).text;
  assert.equal(text({ kind: "exit", exit_code: 4 }), "ended: exit 4.");
  assert.equal(text({ kind: "stopped" }), "ended: stopped.");
  assert.equal(text({ kind: "stopped" }, "Suspended."), "ended. Suspended.");
  assert.equal(text({ kind: "container_lost" }), "ended. The container is gone.");
  assert.equal(text({ kind: "container_lost" }, "It is unknown."), "ended. It is unknown.");
});

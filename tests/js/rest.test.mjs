import assert from "node:assert/strict";
import { test } from "node:test";

import { describeRest } from "berth/session/rest_words";

const NOW = 1_000_000;
const idle = (left) => ({ container_state: "connected", suspends_at: NOW + left, archive_bytes: 0 });

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
});

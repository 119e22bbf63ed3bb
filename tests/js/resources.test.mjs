import assert from "node:assert/strict";
import { test } from "node:test";
import { highestOf, pathOf } from "berth/session/resources_chart";
import { METRICS, ResourceHistory, axisText, axisTop, describe, levelOf } from "berth/session/resources_model";

const MIB = 1 << 20;
const [CPU, MEMORY, PIDS, DISK] = METRICS;

const sample = (at, more = {}) => ({
  type: "resources",
  at,
  cpu_percent: 10,
  memory_bytes: 100 * MIB,
  memory_limit_bytes: 1024 * MIB,
  memory_peak_bytes: 200 * MIB,
  pids: 3,
  pids_limit: 512,
  disk_used_bytes: 12 * MIB,
  disk_limit_bytes: 10240 * MIB,
  ...more,
});
const ended = (at) => ({ type: "turn.ended", at });

function history(...events) {
  const made = new ResourceHistory();
  for (const event of events) made.add(event);
  return made;
}

test("a value holds until the next one, and to the end of what is shown", () => {
  const made = history(sample(100), sample(200, { cpu_percent: 40 }));
  assert.deepEqual(made.lines(CPU, 0, 300), [[[100, 10], [200, 40], [300, 40]]]);
});

test("what began before the part that is shown reaches into it", () => {
  const made = history(sample(100), sample(200, { cpu_percent: 40 }));
  assert.deepEqual(made.lines(CPU, 150, 180), [[[150, 10], [180, 10]]]);
  assert.deepEqual(made.lines(CPU, 250, 300), [[[250, 40], [300, 40]]]);
});

test("nothing is drawn where nothing ran", () => {
  const made = history(sample(100), ended(150), sample(400), ended(450));
  assert.deepEqual(made.lines(CPU, 0, 500), [[[100, 10], [150, 10]], [[400, 10], [450, 10]]]);
  assert.deepEqual(made.lines(CPU, 200, 300), []);
  assert.equal(made.sampleAt(300), null);
  assert.equal(made.sampleAt(120).cpu_percent, 10);
  assert.equal(made.latest.at, 400);
});

test("a figure the kernel does not tell leaves a gap and is named as such", () => {
  const made = history(sample(100, { cpu_percent: null }), sample(200));
  assert.deepEqual(made.lines(CPU, 0, 300), [[[200, 10], [300, 10]]]);
  assert.equal(describe(CPU, sample(1, { cpu_percent: null })), "CPU not known");
  assert.equal(describe(CPU, null), "CPU not known");
});

test("other events say nothing, and a turn without figures leaves no mark", () => {
  const made = history({ type: "output", at: 1 }, ended(5));
  assert.equal(made.first, null);
  assert.deepEqual(made.lines(CPU, 0, 9), []);
});

test("a long history stays small and keeps its newest figures", () => {
  const made = new ResourceHistory();
  for (let at = 0; at < 20_000; at += 1) made.add(sample(at));
  assert.ok(made.entries.length <= 6000);
  assert.deepEqual(made.entries.slice(-100).map(({ at }) => at), Array.from({ length: 100 }, (_, i) => 19_900 + i));
});

test("arrows step through what was recorded and stay at its ends", () => {
  const made = history(sample(100), sample(200), ended(250));
  assert.equal(made.step(250, -1), 200);
  assert.equal(made.step(200, -1), 100);
  assert.equal(made.step(100, -1), 100);
  assert.equal(made.step(100, 1), 200);
  assert.equal(made.step(200, 1), 200);
});

test("figures are told with their limits", () => {
  assert.equal(describe(CPU, sample(1)), "CPU 10 %");
  assert.equal(describe(MEMORY, sample(1, { memory_bytes: 212 * MIB })), "Memory 212 MiB of 1 GiB");
  assert.equal(describe(PIDS, sample(1)), "Processes 3 of 512");
  assert.equal(describe(DISK, sample(1, { disk_limit_bytes: null })), "Disk 12 MiB");
});

test("a warning comes near a limit, and never for a busy processor", () => {
  assert.equal(levelOf(MEMORY, sample(1)), "ok");
  assert.equal(levelOf(MEMORY, sample(1, { memory_bytes: 820 * MIB })), "warn");
  assert.equal(levelOf(MEMORY, sample(1, { memory_bytes: 1000 * MIB })), "danger");
  assert.equal(levelOf(DISK, sample(1, { disk_used_bytes: 10241 * MIB })), "danger");
  assert.equal(levelOf(DISK, sample(1, { disk_used_bytes: null })), "ok");
  assert.equal(levelOf(CPU, sample(1, { cpu_percent: 100 })), "ok");
});

test("an axis ends at the limit when use is near it, else at a round figure", () => {
  assert.equal(axisTop(MEMORY, 700 * MIB, 1024 * MIB), 1024 * MIB);
  assert.equal(axisTop(MEMORY, 1100 * MIB, 1024 * MIB), 1100 * MIB);
  assert.equal(axisTop(MEMORY, 100 * MIB, 1024 * MIB), 200 * MIB);
  assert.equal(axisTop(MEMORY, 444 * MIB, 1024 * MIB), 1024 * MIB);
  assert.equal(axisTop(DISK, 0, 10240 * MIB), MIB);
  assert.equal(axisTop(PIDS, 3, 512), 5);
  assert.equal(axisTop(PIDS, 30, 512), 50);
  assert.equal(axisTop(CPU, 8, 100), 10);
  assert.equal(axisTop(PIDS, 7, null), 10);
});

test("a path goes in steps and stays inside its box", () => {
  const box = { from: 0, to: 100, top: 10, width: 200, height: 50 };
  const lines = [[[0, 5], [50, 20], [100, 20]]];
  assert.equal(highestOf(lines), 20);
  assert.equal(pathOf(lines, box), "M0.0 25.0H100.0V0.0H200.0V0.0");
  assert.equal(pathOf(lines, box, true), "M0.0 50V25.0H100.0V0.0H200.0V0.0V50Z");
  assert.equal(pathOf([], box), "");
});

test("with a shell open the figures hold on past the end of a turn", () => {
  const made = history(
    { type: "shell.opened", at: 50, shell_id: "s" },
    { type: "turn.started", at: 60 },
    sample(100),
    ended(150),
    sample(200, { cpu_percent: 40 }),
    { type: "shell.ended", at: 250, shell_id: "s" },
    sample(400),
  );
  assert.deepEqual(made.lines(CPU, 0, 500), [[[100, 10], [200, 40], [250, 40]], [[400, 10], [500, 10]]]);
});

test("an axis says whole numbers of what is counted in them, and sizes of any kind", () => {
  assert.equal(axisText(CPU, 5), "5 %");
  assert.equal(axisText(CPU, 2.5), "");
  assert.equal(axisText(PIDS, 2.5), "");
  assert.equal(axisText(PIDS, 5), "5");
  assert.equal(axisText(MEMORY, 2.5 * MIB), MEMORY.format(2.5 * MIB));
});

test("at rest there are no figures of now, nor before the first of the next container", () => {
  const state = (at, state) => ({ type: "container.state", at, state });
  const made = history(state(1, "pending"), state(2, "connected"), sample(100), state(200, "suspended"));
  assert.equal(made.current, null);
  assert.ok(made.isGone);
  assert.equal(made.latest.at, 100);
  made.add(sample(201)); // what was measured before, and stored behind
  assert.equal(made.current, null);
  made.add(state(300, "pending"));
  made.add(state(301, "connected"));
  assert.equal(made.current, null);
  assert.ok(!made.isGone);
  made.add(sample(400));
  assert.equal(made.current.at, 400);
});

import assert from "node:assert/strict";
import test from "node:test";

const { FilesWatch } = await import("berth/files-watch");

function watchOf() {
  const sent = [];
  const changed = [];
  const states = [];
  const watch = new FilesWatch((frame) => sent.push(JSON.parse(frame).folders) > 0, {
    onChanged: (queries) => changed.push(queries),
    onState: (isWatched) => states.push(isWatched),
  });
  return { watch, sent, changed, states };
}

const news = (fields) => ({ changed: [], all: false, watched: true, ...fields });

test("nothing is sent before there is a connection, and nothing twice", () => {
  const { watch, sent } = watchOf();
  watch.want(["", "a"]);
  assert.deepEqual(sent, []);
  watch.connected(true);
  watch.want(["", "a"]);
  assert.deepEqual(sent, [["", "a"]]);
  watch.want([]);
  assert.deepEqual(sent, [["", "a"], []]);
});

test("a new connection is told again, and watches nothing until it says so", () => {
  const { watch, sent, states } = watchOf();
  watch.want([""]);
  watch.connected(true);
  watch.take(news({ changed: [""] }));
  watch.connected(false);
  watch.connected(true);
  assert.deepEqual(sent, [[""], [""]]);
  assert.deepEqual(states, [true, false]);
});

test("news name the folders, or none for all of them", () => {
  const { watch, changed } = watchOf();
  watch.connected(true);
  watch.take(news({ changed: ["a", "b"] }));
  watch.take(news({ changed: ["a"], all: true }));
  watch.take(news({}));
  assert.deepEqual(changed, [["a", "b"], null]);
});

test("what does not fit into a frame is never called watched", () => {
  const { watch, sent, states } = watchOf();
  watch.connected(true);
  watch.want(Array.from({ length: 200 }, (_, n) => `${n}${"x".repeat(1000)}`));
  assert.equal(sent.length, 1);
  assert.ok(sent[0].length > 0 && JSON.stringify(sent[0]).length < 60_000);
  watch.take(news({ changed: [sent[0][0]] }));
  assert.deepEqual(states, []);
});

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Retries, backoff } from "berth/session/retries";

const most = () => 1;

beforeEach(() => {
  globalThis.addEventListener ??= () => {};
  mock.timers.enable({ apis: ["setTimeout"] });
});
afterEach(() => mock.timers.reset());

/** A socket as `Retries` sees it. */
function socket() {
  const one = { isOpen: false, connects: 0 };
  one.retries = new Retries({
    connect: () => {
      if (one.isOpen) return;
      one.connects += 1;
      one.retries.connecting();
    },
    cut: () => {},
  });
  return one;
}

function opened(one) {
  one.isOpen = true;
  one.retries.opened();
}

function lost(one) {
  one.isOpen = false;
  return one.retries.later();
}

test("the wait grows to three seconds at first, and further after a minute", () => {
  assert.deepEqual([0, 1, 2, 3, 9].map((n) => backoff(n, 0, most)), [500, 1000, 2000, 3000, 3000]);
  assert.equal(backoff(9, 61_000, most), 10_000);
  assert.equal(backoff(9, 59_000, () => 0), 1500);
});

test("whoever gets through brings the others back at once", () => {
  const [first, second] = [socket(), socket()];
  lost(first);
  lost(second);
  opened(first);
  assert.equal(second.connects, 1);
  assert.equal(first.connects, 0);
  second.retries.close();
  opened(first);
  assert.equal(second.connects, 1);
});

test("one that was let in and turned away at once waits its time", () => {
  const [first, second] = [socket(), socket()];
  opened(second);
  const wait = lost(second);
  opened(first);
  assert.equal(second.connects, 0);
  mock.timers.tick(wait);
  assert.equal(second.connects, 1);
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { pretty } from "berth/session/timeline_program";

test("arguments of a call are shown with their lines, broken ones as they are", () => {
  assert.equal(pretty('{"a":1}'), '{\n  "a": 1\n}');
  assert.equal(pretty('{"a":'), '{"a":');
});

// What the card of a search says of what was found.

import assert from "node:assert/strict";
import { test } from "node:test";

import { foundWords } from "berth/session/timeline_search";

test("the number of passages is told in words", () => {
  assert.equal(foundWords([]), "nothing found");
  assert.equal(foundWords([{}]), "1 passage found");
  assert.equal(foundWords([{}, {}]), "2 passages found");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatSize, formatTime } from "berth/files-format";

// berth/ui, which the api's module loads, looks for the place of its toasts at once.
globalThis.document = { querySelector: () => ({ children: [], append() {} }), addEventListener() {} };
globalThis.MutationObserver = class { observe() {} };
const { FilesError } = await import("berth/files-api");
const { FilesModel } = await import("berth/files-model");

const entry = (query, kind = "file") => ({ query, kind, name: query.split("/").at(-1) });

/** An api that answers from `folders`, a folder's entries by its query. */
function apiOf(folders) {
  return {
    async list(query, limit) {
      if (!folders[query]) throw new FilesError("No such folder.", 404);
      const entries = folders[query].slice(0, limit);
      return { query, entries, total: folders[query].length, fingerprint: `${query}:${entries.length}` };
    },
  };
}

test("sizes are in binary units, as on the cards", () => {
  assert.equal(formatSize(0), "0 B");
  assert.equal(formatSize(1023), "1023 B");
  assert.equal(formatSize(1536), "1.5 KiB");
  assert.equal(formatSize(29_400), "28.7 KiB");
});

test("today's times are of 24 hours", () => {
  const date = new Date();
  date.setHours(20, 5, 0, 0);
  assert.equal(formatTime(date.getTime() / 1000), "20:05");
});

test("a folder's entries are rows only while it is open", async () => {
  const model = new FilesModel(apiOf({ "": [entry("a", "folder")], a: [entry("a/b")] }), () => {});
  await model.load("");
  const keys = () => model.rows().filter((row) => row.type === "entry").map((row) => row.entry.query);
  assert.deepEqual(keys(), ["a"]);
  await model.open("a");
  assert.deepEqual(keys(), ["a", "a/b"]);
  model.close("a");
  assert.deepEqual(keys(), ["a"]);
});

test("a folder that cannot be read says so and keeps the tree", async () => {
  const model = new FilesModel(apiOf({ "": [entry("a", "folder")] }), () => {});
  await model.load("");
  await model.open("a");
  assert.deepEqual(model.rows().map((row) => row.type), ["entry", "error"]);
});

test("what is beyond the limit waits behind a row that shows more", async () => {
  const many = Array.from({ length: 600 }, (_, at) => entry(`f${at}`));
  const model = new FilesModel(apiOf({ "": many }), () => {});
  await model.load("");
  assert.equal(model.rows().length, 501);
  assert.equal(model.rows().at(-1).type, "more");
  await model.showMore("");
  assert.equal(model.rows().length, 600);
});

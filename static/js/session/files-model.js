// What is known of the workspace: the folders that were loaded, and the rows they make.

import { FilesError, parentQuery } from "berth/files-api";

/** @typedef {import("berth/files-api").Entry} Entry */

const FIRST_LIMIT = 500;
const NEXT_LIMIT = 1000;
const MAX_WATCHED = 200;

/**
 * @typedef {object} Folder
 * @property {string} query
 * @property {boolean} isOpen
 * @property {boolean} isLoading
 * @property {string} error
 * @property {number} limit
 * @property {number} total
 * @property {string} fingerprint
 * @property {Entry[]} entries
 *
 * @typedef {object} Row
 * @property {string} key
 * @property {"entry"|"more"|"loading"|"error"|"nothing"} type
 * @property {number} level From 1.
 * @property {string} folder The folder it stands in.
 * @property {Entry=} entry
 * @property {boolean=} isFolder Also of a link that was found to lead to one.
 * @property {boolean=} isOpen Of a folder.
 * @property {string=} text
 * @property {number=} position
 * @property {number=} siblings
 */

export class FilesModel {
  /** @param {import("berth/files-api").FilesApi} api @param {() => void} onChange */
  constructor(api, onChange) {
    this.api = api;
    this.onChange = onChange;
    /** @type {Map<string, Folder>} */
    this.folders = new Map();
    this.root = this.#folder("");
    this.root.isOpen = true;
  }

  get isLoaded() {
    return this.root.fingerprint !== "";
  }

  /** @param {string} query */
  isOpen(query) {
    return this.folders.get(query)?.isOpen ?? false;
  }

  /** @param {string} query */
  entry(query) {
    return this.folders.get(parentQuery(query))?.entries.find((entry) => entry.query === query);
  }

  /** Loads a folder if it must, and shows what is in it. @param {string} query */
  async open(query) {
    const folder = this.#folder(query);
    folder.isOpen = true;
    await this.load(query);
  }

  /** Opens what a link leads to, if that is a folder; says whether it is. @param {string} query */
  async openLink(query) {
    try {
      this.#take(await this.api.list(query, FIRST_LIMIT));
    } catch (error) {
      if (error.isOutage) throw error;
      return false;
    }
    this.#folder(query).isOpen = true;
    this.onChange();
    return true;
  }

  /** @param {string} query */
  close(query) {
    this.#folder(query).isOpen = false;
    this.onChange();
  }

  /** @param {string} query */
  async showMore(query) {
    this.#folder(query).limit += NEXT_LIMIT;
    await this.load(query);
  }

  /** Raises FilesError only for the workspace itself; other folders show theirs. @param {string} query */
  async load(query) {
    const folder = this.#folder(query);
    folder.isLoading = true;
    folder.error = "";
    this.onChange();
    try {
      this.#take(await this.api.list(query, folder.limit));
    } catch (error) {
      if (!(error instanceof FilesError) || query === "") throw error;
      folder.error = error.message;
    } finally {
      folder.isLoading = false;
      this.onChange();
    }
  }

  /** Opens every folder above `query`, so that its row is there. @param {string} query */
  async reveal(query) {
    const names = query.split("/");
    for (let depth = 1; depth < names.length; depth += 1) {
      const above = names.slice(0, depth).join("/");
      if (!this.isOpen(above)) await this.open(above);
    }
  }

  /** @param {string} query */
  isLoading(query) {
    return this.folders.get(query)?.isLoading ?? false;
  }

  /** Queries of the folders on view, those above before those below. */
  openQueries() {
    return this.#openFolders().slice(0, MAX_WATCHED).map((folder) => folder.query);
  }

  /** What of `changes/` to ask for. */
  watched() {
    return this.#openFolders()
      .filter((folder) => !folder.isLoading)
      .slice(0, MAX_WATCHED)
      .map(({ query, fingerprint, limit }) => ({ query, fingerprint, limit }));
  }

  /** Folders of an answer of `changes/`. Says whether anything is new. */
  takeChanges(folders) {
    for (const changed of folders) {
      if (changed.missing && changed.query !== "") this.#forget(changed.query);
      else if (!changed.missing) this.#take(changed);
    }
    if (folders.length) this.onChange();
    return folders.length > 0;
  }

  /** @returns {Row[]} */
  rows() {
    const rows = [];
    this.#addRows(rows, this.root, 1);
    return rows;
  }

  #addRows(rows, folder, level) {
    const base = { level, folder: folder.query };
    folder.entries.forEach((entry, index) => {
      const isFolder = this.#isFolder(entry);
      const isOpen = isFolder && this.isOpen(entry.query);
      const place = { position: index + 1, siblings: folder.total };
      rows.push({ ...base, ...place, key: entry.query, type: "entry", entry, isFolder, isOpen });
      if (isOpen) this.#addRows(rows, this.#folder(entry.query), level + 1);
    });
    const left = folder.total - folder.entries.length;
    const add = (type, text) => rows.push({ ...base, key: `${type} ${folder.query}`, type, text });
    if (folder.error) add("error", folder.error);
    else if (folder.isLoading && !folder.fingerprint) add("loading", "Loading…");
    else if (left > 0) add("more", `Show more (${left.toLocaleString()} left)`);
    else if (!folder.entries.length && level > 1) add("nothing", "Empty");
  }

  #openFolders() {
    const open = [];
    const visit = (folder) => {
      open.push(folder);
      for (const entry of folder.entries) {
        if (this.#isFolder(entry) && this.isOpen(entry.query)) visit(this.#folder(entry.query));
      }
    };
    visit(this.root);
    return open;
  }

  #isFolder(entry) {
    return entry.kind === "folder" || (entry.kind === "symlink" && this.folders.has(entry.query));
  }

  #folder(query) {
    let folder = this.folders.get(query);
    if (!folder) {
      folder = { query, isOpen: false, isLoading: false, error: "", limit: FIRST_LIMIT, total: 0, fingerprint: "", entries: [] };
      this.folders.set(query, folder);
    }
    return folder;
  }

  #take(listing) {
    const folder = this.#folder(listing.query);
    Object.assign(folder, { entries: listing.entries, total: listing.total, fingerprint: listing.fingerprint, error: "" });
    const here = new Set(listing.entries.map((entry) => entry.query));
    for (const query of this.folders.keys()) {
      if (query && parentQuery(query) === listing.query && !here.has(query)) this.#forget(query);
    }
  }

  #forget(query) {
    for (const known of [...this.folders.keys()]) {
      if (known === query || known.startsWith(`${query}/`)) this.folders.delete(known);
    }
  }
}

// The file endpoints of one session. Paths are queries: percent-encoded bytes, made by the server.

import { csrfHeaders } from "berth/ui";

/**
 * @typedef {object} Entry
 * @property {string} name What to show; hidden characters are escaped in it.
 * @property {boolean} plain Whether `name` is the name itself.
 * @property {string} query
 * @property {"folder"|"file"|"symlink"|"other"} kind
 * @property {number} size
 * @property {number} modified Unix time in seconds.
 * @property {string|null} target Where a symlink leads.
 *
 * @typedef {object} Listing
 * @property {string} query
 * @property {string} fingerprint
 * @property {number} total
 * @property {Entry[]} entries The first of them, in order.
 */

export class FilesError extends Error {
  /** @param {string} message @param {string} code @param {number} status */
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }

  /** Nothing can be asked at the moment; later it may work again. */
  get isOutage() {
    return this.status === 0 || this.status === 502 || this.status === 503;
  }
}

/** @param {number} status @param {string} body */
export function errorFrom(status, body) {
  try {
    const { error } = JSON.parse(body);
    // The kernel's own words begin small.
    const message = error.message.charAt(0).toUpperCase() + error.message.slice(1);
    return new FilesError(message, error.code, status);
  } catch {
    return new FilesError(`The server answered with ${status}.`, "error", status);
  }
}

export class FilesApi {
  /** @param {Record<string, string>} urls list, changes, view, raw, archive, upload, uploads, folder, rename, delete */
  constructor(urls) {
    this.urls = urls;
    this.maxUploadBytes = Infinity;
    /** Requests under way that start a container where there is none. */
    this.waiting = 0;
    this.onWaiting = () => {};
  }

  /** @param {string} query @param {number} limit @returns {Promise<Listing>} */
  async list(query, limit) {
    const response = await this.#ask(`${this.urls.list}?path=${query}&limit=${limit}`);
    const listing = await response.json();
    this.maxUploadBytes = listing.max_upload_bytes;
    return listing;
  }

  /**
   * @param {{query: string, fingerprint: string, limit: number}[]} folders
   * @param {string|null} file
   */
  async changes(folders, file) {
    return (await this.#post(this.urls.changes, { folders, file }, { rouses: false })).json();
  }

  /** @param {string} query @param {{as?: string, offset?: number, signal?: AbortSignal}} options */
  async view(query, { as = "", offset = 0, signal } = {}) {
    const url = `${this.urls.view}?path=${query}&as=${as}&offset=${offset}`;
    return (await this.#ask(url, { signal })).text();
  }

  /** Whether there is anything by that name. @param {string} query */
  async exists(query) {
    return (await this.changes([], query)).file.etag !== "";
  }

  /** @param {string} query */
  async createFolder(query) {
    return (await this.#post(this.urls.folder, { path: query })).json();
  }

  /** @param {string} query */
  async createFile(query) {
    const url = `${this.urls.upload}?path=${query}&overwrite=0`;
    return (await this.#ask(url, { method: "PUT", headers: csrfHeaders(), body: "" })).json();
  }

  /** @param {string} query @param {string} target */
  async rename(query, target) {
    return (await this.#post(this.urls.rename, { path: query, target })).json();
  }

  /** @param {string} query */
  async remove(query) {
    await this.#post(this.urls.delete, { path: query });
  }

  /** Uploads in pieces that were begun. @returns {Promise<{id: string, path: string, size: number, offset: number}[]>} */
  async unfinished() {
    return (await (await this.#ask(this.urls.uploads, { rouses: false })).json()).uploads;
  }

  /** @param {string} id */
  async giveUp(id) {
    await this.#ask(`${this.urls.uploads}${id}/`, { method: "DELETE", headers: csrfHeaders() });
  }

  rawUrl(query) {
    return `${this.urls.raw}?path=${query}`;
  }

  archiveUrl(query) {
    return `${this.urls.archive}?path=${query}`;
  }

  #post(url, body, { rouses = true } = {}) {
    const headers = { ...csrfHeaders(), "Content-Type": "application/json" };
    return this.#ask(url, { method: "POST", headers, body: JSON.stringify(body), rouses });
  }

  async #ask(url, { rouses = true, ...options } = {}) {
    this.#wait(rouses ? 1 : 0);
    try {
      return await this.#fetch(url, options);
    } finally {
      this.#wait(rouses ? -1 : 0);
    }
  }

  #wait(change) {
    this.waiting += change;
    this.onWaiting();
  }

  async #fetch(url, options) {
    const headers = { Accept: "application/json", ...options.headers };
    let response;
    try {
      response = await fetch(url, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new FilesError("Berth does not answer.", "unreachable", 0);
    }
    if (response.status >= 400) throw errorFrom(response.status, await response.text());
    return response;
  }
}

/** The query of `name` below `folder`. @param {string} folder @param {string} name */
export function joinQuery(folder, name) {
  const encoded = encodeURIComponent(name.toWellFormed?.() ?? name);
  return folder ? `${folder}/${encoded}` : encoded;
}

/** @param {string} query */
export function parentQuery(query) {
  return query.slice(0, Math.max(query.lastIndexOf("/"), 0));
}

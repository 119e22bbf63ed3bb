// One long file sent in pieces: it goes on after a lost connection, a restart of the server and,
// once the same file is chosen again, a reload of the page.

import { csrfHeaders } from "berth/ui";
import { errorFrom, FilesError } from "berth/files-api";
import { backoff } from "berth/session/retries";

/** Shorter files go in one request. */
export const LONG_BYTES = 8 * 1024 * 1024;
const PIECE_BYTES = 8 * 1024 * 1024;
const KEY_PREFIX = "berth-upload ";
const GONE = 404;

/** Ids of uploads this browser began and did not finish. @returns {Set<string>} */
export function begunHere() {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(KEY_PREFIX));
  return new Set(keys.map((key) => localStorage.getItem(key)));
}

/** @param {string} id */
export function forgetBegun(id) {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith(KEY_PREFIX) && localStorage.getItem(key) === id) localStorage.removeItem(key);
  }
}

export class PiecewiseUpload {
  /**
   * @param {string} url Where uploads are begun.
   * @param {{file: File, query: string}} upload
   * @param {{overwrite: boolean, onProgress: (sent: number) => void, onNote: (note: string) => void}} options
   */
  constructor(url, { file, query }, { overwrite, onProgress, onNote }) {
    this.url = url;
    this.file = file;
    this.query = query;
    this.overwrite = overwrite;
    this.onProgress = onProgress;
    this.onNote = onNote;
    this.key = `${KEY_PREFIX}${url} ${query} ${file.size} ${file.lastModified}`;
    this.id = localStorage.getItem(this.key) ?? "";
    this.failures = 0;
    this.isPaused = false;
    this.isCancelled = false;
    /** Ends whatever is waited for. */
    this.stir = () => {};
  }

  /** Until the file is in the workspace. Throws FilesError for what trying again does not mend. */
  async run() {
    let offset = await this.#persist(() => this.#begin());
    while (offset < this.file.size) {
      this.onProgress(offset);
      const from = offset;
      offset = await this.#persist(() => this.#sendPiece(from), () => this.#begin());
    }
    this.onProgress(offset);
    this.onNote("Saving…");
    const path = () => `${this.id}/finish/`;
    await this.#persist(() => this.#ask("POST", path(), JSON.stringify({ overwrite: this.overwrite })));
    localStorage.removeItem(this.key);
  }

  pause() {
    this.isPaused = true;
    this.onNote("Paused");
    this.request?.abort();
  }

  resume() {
    this.isPaused = false;
    this.onNote("");
    this.stir();
  }

  cancel() {
    this.isCancelled = true;
    this.request?.abort();
    this.stir();
    localStorage.removeItem(this.key);
    const headers = csrfHeaders();
    if (this.id) fetch(`${this.url}${this.id}/`, { method: "DELETE", headers }).catch(() => {});
  }

  /** `again` takes the place of `step` once it failed: what the server has is asked for first. */
  async #persist(step, again = step) {
    for (let next = step; ; next = again) {
      await this.#whilePaused();
      try {
        const result = await next();
        this.failures = 0;
        this.onNote("");
        return result;
      } catch (error) {
        if (this.isCancelled || !(error instanceof FilesError)) throw error;
        if (this.isPaused) continue;
        if (!mayPass(error)) throw error;
        await this.#wait(error);
      }
    }
  }

  async #whilePaused() {
    while (this.isPaused && !this.isCancelled) await new Promise((resolve) => (this.stir = resolve));
    if (this.isCancelled) throw new FilesError("Cancelled.", "cancelled", -1);
  }

  async #wait(error) {
    this.onNote(error.status === 0 ? "Connection lost. Trying again…" : "The server is busy. Trying again…");
    await new Promise((resolve) => {
      this.stir = resolve;
      setTimeout(resolve, backoff(this.failures));
      addEventListener("online", resolve, { once: true });
    });
    this.failures += 1;
  }

  /** Where to go on: the upload that was begun before, or a new one. @returns {Promise<number>} */
  async #begin() {
    if (this.id) {
      try {
        return offsetOf(await this.#ask("HEAD", `${this.id}/`));
      } catch (error) {
        if (error.status !== GONE) throw error;
      }
    }
    const { size } = this.file;
    const body = JSON.stringify({ path: this.query, size, overwrite: this.overwrite });
    const request = await this.#ask("POST", "", body);
    this.id = JSON.parse(request.responseText).id;
    localStorage.setItem(this.key, this.id);
    return 0;
  }

  /** @param {number} offset @returns {Promise<number>} where the next one begins */
  async #sendPiece(offset) {
    const piece = this.file.slice(offset, offset + PIECE_BYTES);
    try {
      return offsetOf(await this.#ask("PATCH", `${this.id}/`, piece, offset));
    } catch (error) {
      if (error.code === "wrong_offset") return error.offset;
      if (error.status === GONE) return this.#begin();
      if (error.status === 0 && !this.isPaused && !this.isCancelled) await checkReadable(piece);
      throw error;
    }
  }

  /** @returns {Promise<XMLHttpRequest>} */
  #ask(method, path, body = null, offset = null) {
    const request = new XMLHttpRequest();
    this.request = request;
    request.open(method, this.url + path);
    request.setRequestHeader("Accept", "application/json");
    const isPiece = offset !== null;
    if (body !== null) request.setRequestHeader("Content-Type", isPiece ? "application/octet-stream" : "application/json");
    if (isPiece) {
      request.setRequestHeader("Upload-Offset", String(offset));
      request.upload.addEventListener("progress", (event) => this.onProgress(offset + event.loaded));
    }
    for (const [name, value] of Object.entries(csrfHeaders())) request.setRequestHeader(name, value);
    return new Promise((resolve, reject) => {
      request.addEventListener("load", () => {
        if (request.status < 400) return resolve(request);
        const error = errorFrom(request.status, request.responseText);
        error.offset = offsetOf(request);
        reject(error);
      });
      const lost = () => reject(new FilesError("The upload was cut off.", "unreachable", 0));
      request.addEventListener("error", lost);
      request.addEventListener("abort", lost);
      request.send(body);
    });
  }
}

function offsetOf(request) {
  return Number(request.getResponseHeader("Upload-Offset"));
}

function mayPass(error) {
  return error.isOutage || error.status === 504 || error.code === "upload_busy";
}

/** A file that was changed or unplugged fails like a network does. @param {Blob} piece */
async function checkReadable(piece) {
  try {
    await piece.slice(0, 1).arrayBuffer();
  } catch {
    throw new FilesError("The file changed or can no longer be read. Choose it again.", "unreadable", -1);
  }
}

// Uploads: a queue with progress, two at a time. Short files are PUT, long ones sent in pieces.

import { csrfHeaders } from "berth/ui";
import { errorFrom, FilesError, joinQuery } from "berth/files-api";
import { begunHere, forgetBegun, LONG_BYTES, PiecewiseUpload } from "berth/files-pieces";

const AT_A_TIME = 2;
/** A longer file is not sent before it is known whether its name is free. */
const ASK_FIRST_BYTES = 1024 * 1024;

/**
 * @typedef {object} Upload
 * @property {File} file
 * @property {string} folder Where the person put it.
 * @property {string} query
 * @property {string} name The path below the folder it was dropped on.
 * @property {"waiting"|"sending"|"done"|"skipped"|"failed"} state
 * @property {number} sent
 * @property {string} error
 * @property {string} note What goes on, where that is not just sending.
 * @property {XMLHttpRequest=} request
 * @property {PiecewiseUpload=} pieces Of a long file, once it is being sent.
 *
 * @typedef {{id: string, path: string, size: number, offset: number}} Unfinished
 */

export class UploadQueue {
  /**
   * @param {import("berth/files-api").FilesApi} api
   * @param {{onChange: () => void, onDone: () => void, askConflict: (name: string) => Promise<{choice: string, forAll: boolean}>}} options
   */
  constructor(api, options) {
    this.api = api;
    this.options = options;
    /** @type {Upload[]} */
    this.uploads = [];
    /** @type {Unfinished[]} Begun by this browser before the page was loaded. */
    this.unfinished = [];
    this.sending = 0;
    /** @type {"ask"|"replace"|"skip"} */
    this.onConflict = "ask";
    this.asking = Promise.resolve();
  }

  get isBusy() {
    return this.uploads.some((upload) => upload.state === "waiting" || upload.state === "sending");
  }

  /** @param {import("berth/files-drop").PickedFile[]} picked @param {string} folder */
  add(picked, folder) {
    if (!this.isBusy) {
      this.uploads = [];
      this.onConflict = "ask";
    }
    for (const { file, names } of picked) {
      const query = names.reduce(joinQuery, folder);
      const name = names.join("/");
      this.uploads.push({ file, folder, query, name, state: "waiting", sent: 0, error: "", note: "" });
      this.unfinished = this.unfinished.filter(({ path, size }) => path !== query || size !== file.size);
    }
    this.#next();
  }

  /** @param {Upload} upload */
  cancel(upload) {
    if (upload.state !== "waiting" && upload.state !== "sending") return;
    upload.state = "skipped";
    upload.request?.abort();
    upload.pieces?.cancel();
    this.options.onChange();
  }

  /** @param {Upload} upload */
  togglePause(upload) {
    if (upload.pieces?.isPaused) upload.pieces.resume();
    else upload.pieces?.pause();
  }

  /** Look for what a reload cut off: the same file chosen again goes on where it stopped. */
  async loadUnfinished() {
    const mine = begunHere();
    if (!mine.size) return;
    const busy = new Set(this.uploads.map(({ pieces }) => pieces?.id));
    const found = await this.api.unfinished();
    this.unfinished = found.filter(({ id }) => mine.has(id) && !busy.has(id));
    this.options.onChange();
  }

  /** @param {Unfinished} upload */
  async giveUp(upload) {
    this.unfinished = this.unfinished.filter((one) => one !== upload);
    this.options.onChange();
    forgetBegun(upload.id);
    await this.api.giveUp(upload.id);
  }

  cancelAll() {
    for (const upload of this.uploads) this.cancel(upload);
  }

  forgetEnded() {
    this.uploads = this.uploads.filter((upload) => upload.state === "waiting" || upload.state === "sending");
    this.options.onChange();
  }

  #next() {
    while (this.sending < AT_A_TIME) {
      const upload = this.uploads.find((one) => one.state === "waiting");
      if (!upload) break;
      upload.state = "sending";
      this.sending += 1;
      this.#run(upload).finally(() => {
        this.sending -= 1;
        if (!this.isBusy) this.options.onDone();
        this.#next();
      });
    }
    this.options.onChange();
  }

  async #run(upload) {
    try {
      await this.#send(upload);
      if (upload.state === "sending") upload.state = "done";
    } catch (error) {
      if (upload.state !== "sending") return;
      upload.state = "failed";
      upload.error = error.message;
      // Going on would fill what little is free, or knock at a closed door.
      if (error.code === "disk_full" || error.isOutage || error.status === 401) this.#stopAll(error.message);
    }
  }

  #stopAll(message) {
    for (const upload of this.uploads) {
      if (upload.state === "waiting") Object.assign(upload, { state: "failed", error: message });
    }
  }

  async #send(upload) {
    if (upload.file.size > this.api.maxUploadBytes) {
      const limit = Math.floor(this.api.maxUploadBytes / 1024 / 1024);
      throw new FilesError(`Files over ${limit} MiB are not taken.`, "file_too_large", 413);
    }
    let overwrite = this.onConflict === "replace";
    if (!overwrite && upload.file.size > ASK_FIRST_BYTES && (await this.api.exists(upload.query))) {
      if (!(await this.#mayReplace(upload))) return;
      overwrite = true;
    }
    try {
      await this.#transfer(upload, overwrite);
    } catch (error) {
      if (error.code !== "entry_exists" || overwrite) throw error;
      if (await this.#mayReplace(upload)) await this.#transfer(upload, true);
    }
  }

  async #transfer(upload, overwrite) {
    if (upload.file.size < LONG_BYTES) return this.#put(upload, overwrite);
    const set = (fields) => {
      Object.assign(upload, fields);
      this.options.onChange();
    };
    upload.pieces = new PiecewiseUpload(this.api.urls.uploads, upload, {
      overwrite,
      onProgress: (sent) => set({ sent }),
      onNote: (note) => set({ note }),
    });
    await upload.pieces.run();
  }

  /** One question at a time; an answer for all is not asked again. */
  async #mayReplace(upload) {
    const before = this.asking;
    let release;
    this.asking = new Promise((resolve) => (release = resolve));
    await before;
    try {
      let choice = this.onConflict;
      if (choice === "ask" && upload.state === "sending") {
        const answer = await this.options.askConflict(upload.name);
        choice = answer.choice;
        if (answer.forAll) this.onConflict = choice;
      }
      if (choice !== "replace") upload.state = "skipped";
      return upload.state === "sending";
    } finally {
      release();
    }
  }

  #put(upload, overwrite) {
    const request = new XMLHttpRequest();
    upload.request = request;
    upload.sent = 0;
    request.open("PUT", `${this.api.urls.upload}?path=${upload.query}&overwrite=${Number(overwrite)}`);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    for (const [name, value] of Object.entries(csrfHeaders())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      upload.sent = event.loaded;
      this.options.onChange();
    });
    return new Promise((resolve, reject) => {
      request.addEventListener("load", () => {
        if (request.status < 400) resolve();
        else reject(errorFrom(request.status, request.responseText));
      });
      // A file that is read and changes meanwhile ends here as well.
      request.addEventListener("error", () => reject(new FilesError("The upload was cut off.", "unreachable", -1)));
      request.addEventListener("abort", () => reject(new FilesError("Cancelled.", "cancelled", -1)));
      request.send(upload.file);
    });
  }
}

// The box below the tree that shows uploads while they last, and what failed.

import { element, formatSize, icon } from "berth/files-format";

const MAX_SHOWN = 6;

/** @typedef {import("berth/files-upload").Upload} Upload */

export class UploadList {
  /** @param {HTMLElement} box @param {import("berth/files-upload").UploadQueue} queue */
  constructor(box, queue) {
    this.box = box;
    this.queue = queue;
    this.list = box.querySelector("ul");
    this.title = box.querySelector(".files-uploads-title");
    this.button = box.querySelector("[data-action=cancel-uploads]");
    /** @type {Map<Upload, HTMLElement>} */
    this.items = new Map();
    this.button.addEventListener("click", () => {
      if (queue.isBusy) queue.cancelAll();
      else queue.forgetEnded();
    });
    this.list.addEventListener("click", (event) => {
      const item = event.target.closest("button") && event.target.closest("li");
      for (const [upload, made] of this.items) if (made === item) queue.cancel(upload);
    });
  }

  render() {
    // Progress comes many times a second; one drawing a frame is enough.
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const { uploads, isBusy } = this.queue;
    const sending = uploads.filter((upload) => upload.state === "sending");
    const failed = uploads.filter((upload) => upload.state === "failed");
    this.box.hidden = !isBusy && !failed.length;
    this.#drawTitle(uploads, failed, isBusy);
    this.button.textContent = isBusy ? "Cancel all" : "Close";
    const shown = [...sending, ...failed].slice(0, MAX_SHOWN);
    for (const [upload, made] of this.items) {
      if (shown.includes(upload)) continue;
      made.remove();
      this.items.delete(upload);
    }
    for (const upload of shown) {
      if (!this.items.has(upload)) this.#add(upload);
      this.#update(this.items.get(upload), upload);
    }
  }

  #drawTitle(uploads, failed, isBusy) {
    const ended = uploads.filter((upload) => upload.state !== "waiting" && upload.state !== "sending");
    const bytes = uploads.reduce((sum, upload) => sum + (upload.state === "sending" ? upload.sent : 0), 0);
    const doneBytes = ended.reduce((sum, upload) => sum + (upload.state === "done" ? upload.file.size : 0), 0);
    const text = isBusy
      ? `Uploading ${ended.length + 1} of ${uploads.length} · ${formatSize(bytes + doneBytes)}`
      : `${failed.length} of ${uploads.length} not uploaded`;
    if (this.title.textContent !== text) this.title.textContent = text;
  }

  #add(upload) {
    const made = element("li", "files-upload");
    const name = element("bdi", "files-upload-name", upload.name);
    name.title = upload.name;
    const cancel = element("button", "button small quiet");
    cancel.type = "button";
    cancel.ariaLabel = `Cancel ${upload.name}`;
    cancel.append(icon("close"));
    const progress = element("progress", "");
    progress.max = Math.max(upload.file.size, 1);
    progress.ariaLabel = upload.name;
    made.append(name, element("span", "files-upload-figure"), cancel, progress, element("span", "files-upload-error"));
    this.items.set(upload, made);
    this.list.append(made);
  }

  #update(made, upload) {
    const progress = made.querySelector("progress");
    const isFailed = upload.state === "failed";
    // All is sent, and the server now writes it into the container.
    if (upload.sent >= upload.file.size) progress.removeAttribute("value");
    else progress.value = upload.sent;
    progress.hidden = isFailed;
    made.querySelector("button").hidden = isFailed;
    made.querySelector(".files-upload-figure").textContent = isFailed
      ? ""
      : `${Math.floor((100 * upload.sent) / Math.max(upload.file.size, 1))} %`;
    made.querySelector(".files-upload-error").textContent = upload.error;
  }
}

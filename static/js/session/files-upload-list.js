// The box below the tree that shows uploads while they last, and what failed.

import { element, formatSize, icon } from "berth/files-format";
import { fileLabel } from "berth/session/timeline_message";

const MAX_SHOWN = 6;
const CHOOSE_AGAIN = "Choose the same file again to go on.";

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
      const button = event.target.closest("button");
      const item = button?.closest("li");
      for (const [upload, made] of this.items) if (made === item) this.#press(upload, button);
    });
  }

  #press(upload, button) {
    if (button.dataset.act === "pause") this.queue.togglePause(upload);
    else if (upload.id) this.queue.giveUp(upload);
    else this.queue.cancel(upload);
    this.render();
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
    const { uploads, unfinished, isBusy } = this.queue;
    const sending = uploads.filter((upload) => upload.state === "sending");
    const failed = uploads.filter((upload) => upload.state === "failed");
    this.box.hidden = !isBusy && !failed.length && !unfinished.length;
    this.#drawTitle(uploads, failed, isBusy);
    this.button.textContent = isBusy ? "Cancel all" : "Close";
    this.button.hidden = !isBusy && !failed.length;
    const shown = [...sending, ...failed, ...unfinished].slice(0, MAX_SHOWN);
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
      : failed.length
        ? `${failed.length} of ${uploads.length} not uploaded`
        : "Unfinished uploads";
    if (this.title.textContent !== text) this.title.textContent = text;
  }

  #add(upload) {
    const made = element("li", "files-upload");
    const label = upload.name ?? fileLabel(upload.path);
    const name = element("bdi", "files-upload-name", label);
    name.title = label;
    const pause = element("button", "button small quiet");
    pause.type = "button";
    pause.dataset.act = "pause";
    const cancel = element("button", "button small quiet");
    cancel.type = "button";
    cancel.dataset.act = "cancel";
    cancel.ariaLabel = upload.id ? `Give up ${label}` : `Cancel ${label}`;
    cancel.append(icon("close"));
    const progress = element("progress", "");
    progress.max = Math.max(sizeOf(upload), 1);
    progress.ariaLabel = label;
    const figure = element("span", "files-upload-figure");
    const note = element("span", "files-upload-note");
    made.append(name, figure, pause, cancel, progress, note, element("span", "files-upload-error"));
    this.items.set(upload, made);
    this.list.append(made);
  }

  #update(made, upload) {
    const isFailed = upload.state === "failed";
    const sent = upload.sent ?? upload.offset;
    const progress = made.querySelector("progress");
    // All is sent, and the server now writes it into the container.
    if (sent >= sizeOf(upload)) progress.removeAttribute("value");
    else progress.value = sent;
    progress.hidden = isFailed;
    const [pause, cancel] = made.querySelectorAll("button");
    cancel.hidden = isFailed;
    pause.hidden = isFailed || !upload.pieces || sent >= sizeOf(upload);
    pause.textContent = upload.pieces?.isPaused ? "Resume" : "Pause";
    const percent = Math.floor((100 * sent) / Math.max(sizeOf(upload), 1));
    made.querySelector(".files-upload-figure").textContent = isFailed ? "" : `${percent} %`;
    made.querySelector(".files-upload-note").textContent = isFailed ? "" : (upload.note ?? CHOOSE_AGAIN);
    made.querySelector(".files-upload-error").textContent = upload.error ?? "";
  }
}

/** Of an upload that is sent now, or of one that was cut off. */
function sizeOf(upload) {
  return upload.file?.size ?? upload.size;
}

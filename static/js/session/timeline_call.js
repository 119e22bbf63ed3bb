// A command's card: what runs, for how long, its last lines, how it ended.

import { Crc32 } from "berth/session/digest";
import { plainTail } from "berth/session/escape";
import { commandSummary, describeEnding, formatBytes, formatClock, formatDuration, formatLimit } from "berth/session/format";

const TAIL_BYTES = 4096;
const TAIL_LINES = 3;
/** A command of more lines or characters is folded. */
const FOLD_LINES = 6;
const FOLD_CHARS = 500;
/** Tools whose calls are no commands of a shell, by what they are called on the page. */
const TOOL_NAMES = { python: "Python" };
const PICTURE = /^data:image\/(png|jpeg);base64,/;

export class CallCard {
  /** @param {HTMLTemplateElement} template @param {object} event call.started */
  constructor(template, event) {
    this.event = event;
    this.id = event.call_id;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.part = (name) => this.element.querySelector(`[data-part=${name}]`);
    this.bytes = 0;
    this.tail = new Uint8Array(0);
    this.isDirty = false;
    this.ending = null;
    /** @type {Map<string, {bytes: number, crc: Crc32}>} */
    this.digests = new Map();
    this.#fill();
  }

  #fill() {
    const { event, element } = this;
    element.dataset.callId = event.call_id;
    element.dataset.state = "running";
    const name = commandSummary(event.command, 80).text;
    const tool = TOOL_NAMES[event.tool] ?? "";
    element.setAttribute("aria-label", `${tool || "Command"}: ${name}`);
    this.part("tool").textContent = tool;
    this.part("tool").hidden = !tool;
    const command = this.part("command");
    command.textContent = event.command;
    const isLong = event.command.length > FOLD_CHARS || event.command.split("\n").length > FOLD_LINES;
    const fold = this.part("fold");
    fold.hidden = !isLong;
    element.classList.toggle("is-folded", isLong);
    fold.addEventListener("click", () => {
      const isFolded = element.classList.toggle("is-folded");
      fold.textContent = isFolded ? "Show all" : "Show less";
      fold.setAttribute("aria-expanded", String(!isFolded));
    });
    if (event.writes) {
      this.part("writes").hidden = false;
      this.part("writes-name").textContent = event.writes;
    }
  }

  /** @param {{stream: string, data: Uint8Array}} event */
  output({ stream, data }) {
    this.bytes += data.length;
    this.tail = lastBytes(this.tail, data);
    this.#digest(stream, data);
    this.isDirty = true;
  }

  #digest(stream, data) {
    let digest = this.digests.get(stream);
    if (!digest) {
      digest = { bytes: 0, crc: new Crc32() };
      this.digests.set(stream, digest);
    }
    digest.bytes += data.length;
    digest.crc.update(data);
  }

  dropped({ length }) {
    this.bytes += length;
    this.isDirty = true;
  }

  /** @param {object} event call.ended, or null when the turn ended without it */
  ended(event) {
    this.ending = event;
    this.isDirty = true;
  }

  /** What code showed. @param {string[]} urls */
  pictures(urls) {
    const images = urls.filter((url) => PICTURE.test(url)).map((url, index) => {
      const image = document.createElement("img");
      image.src = url;
      image.alt = `Picture ${index + 1} of this call`;
      return image;
    });
    this.part("pictures").replaceChildren(...images);
    this.part("pictures").hidden = !images.length;
  }

  /** Bring the element up to date; called once a frame at most. */
  render(now) {
    if (this.isDirty) this.#renderOutput();
    this.isDirty = false;
    if (!this.ending) this.tick(now);
  }

  #renderOutput() {
    this.part("bytes").textContent = this.bytes ? formatBytes(this.bytes) : "";
    for (const [stream, { bytes, crc }] of this.digests) {
      this.element.setAttribute(`data-${stream}-bytes`, String(bytes));
      this.element.setAttribute(`data-${stream}-crc32`, crc.hex);
    }
    const tail = plainTail(new TextDecoder().decode(this.tail), TAIL_LINES);
    this.part("tail").textContent = tail;
    this.part("tail").hidden = !tail;
    if (this.ending) this.#renderEnding();
  }

  #renderEnding() {
    const { text, level } = describeEnding(this.ending.ending);
    this.element.dataset.state = "ended";
    this.element.dataset.level = level;
    this.element.dataset.ending = this.ending.ending.kind;
    this.part("status").textContent = text;
    this.part("time").textContent = formatDuration(this.ending.duration_ms);
  }

  /** The running time, in the server's clock. */
  tick(now) {
    const elapsed = now - this.event.at;
    this.part("time").textContent = formatClock(elapsed);
    const limit = this.event.timeout_s;
    this.part("status").textContent =
      limit && elapsed > limit * 500 ? `running, limit ${formatLimit(limit)}` : "running";
  }
}

/** The last bytes of both together; both streams share a tail, as they share a terminal. */
function lastBytes(before, data) {
  if (data.length >= TAIL_BYTES) return data.slice(-TAIL_BYTES);
  const kept = before.subarray(Math.max(0, before.length + data.length - TAIL_BYTES));
  const joined = new Uint8Array(kept.length + data.length);
  joined.set(kept);
  joined.set(data, kept.length);
  return joined;
}

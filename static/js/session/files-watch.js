// Which folders the server is asked to watch, and what it says of them.

import { MAX_CLIENT_FRAME_CHARS, watchFrame } from "berth/session/protocol";

export class FilesWatch {
  /**
   * @param {(frame: string) => boolean} send Whether it went out.
   * @param {{onChanged: (queries: string[] | null) => void, onState: (isWatched: boolean) => void}} events
   *   `null` for any of them.
   */
  constructor(send, events) {
    this.send = send;
    this.events = events;
    /** @type {string[]} */
    this.wanted = [];
    this.sent = "";
    this.isConnected = false;
    this.isWhole = true;
    this.isWatched = false;
  }

  /** From now on these folders. @param {string[]} queries */
  want(queries) {
    this.wanted = queries;
    this.#tell();
  }

  /** A new connection knows nothing of what the last one watched. @param {boolean} isConnected */
  connected(isConnected) {
    if (isConnected === this.isConnected) return;
    this.isConnected = isConnected;
    this.sent = watchFrame([]);
    this.#setWatched(false);
    this.#tell();
  }

  /** @param {{changed: string[], all: boolean, watched: boolean}} frame */
  take(frame) {
    this.#setWatched(frame.watched && this.isWhole);
    if (frame.all) this.events.onChanged(null);
    else if (frame.changed.length) this.events.onChanged(frame.changed);
  }

  #tell() {
    if (!this.isConnected) return;
    let frame = watchFrame(this.wanted);
    this.isWhole = frame.length <= MAX_CLIENT_FRAME_CHARS;
    // Too long for one frame: those in front are watched, all are asked for from time to time.
    for (let count = this.wanted.length; frame.length > MAX_CLIENT_FRAME_CHARS; ) {
      count = Math.floor(count / 2);
      frame = watchFrame(this.wanted.slice(0, count));
    }
    if (!this.isWhole) this.#setWatched(false);
    if (frame !== this.sent && this.send(frame)) this.sent = frame;
    if (!this.wanted.length) this.#setWatched(false);
  }

  #setWatched(isWatched) {
    if (isWatched === this.isWatched) return;
    this.isWatched = isWatched;
    this.events.onState(isWatched);
  }
}

// What became of the container while nothing else happened: one note, however often it rests.

import { formatTime } from "berth/session/format";

const WORDS = { suspended: "suspended", expired: "archived", connected: "started again" };

export class RestNote {
  /** @param {HTMLElement} element a note of the timeline */
  constructor(element) {
    this.element = element;
    this.since = null;
    this.last = "";
    /** @type {Map<string, number>} how often each, in the order of their first */
    this.counts = new Map();
  }

  /** @param {{state: string, reason: string, at: number}} event */
  add({ state, reason, at }) {
    this.since ??= at;
    // A second word on the same state (its archive could not be written) is no second rest.
    if (state !== this.last) this.counts.set(state, (this.counts.get(state) ?? 0) + 1);
    this.last = state;
    this.element.querySelector("[data-part=text]").textContent = reason;
    this.element.querySelector("[data-part=hint]").textContent = this.#before();
  }

  #before() {
    if ([...this.counts.values()].reduce((sum, count) => sum + count, 0) < 2) return "";
    const parts = [...this.counts].map(([state, count]) => `${WORDS[state]} ${times(count)}`.trim());
    return `Since ${formatTime(this.since)}: ${parts.join(", ")}.`;
  }
}

/** Whether the event is about the rest of a container. */
export function isOfRest({ state }) {
  return state in WORDS;
}

function times(count) {
  if (count === 1) return "";
  return count === 2 ? "twice" : `${count} times`;
}

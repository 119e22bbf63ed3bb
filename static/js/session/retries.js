// When a socket that was cut tries again. All sockets of a page go to one server: the first that gets
// through brings the others back.

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 10_000;
/** Most cuts are short, a restart above all: whoever waits for the end of one waits no longer. */
const EARLY_MAX_MS = 3000;
const EARLY_FOR_MS = 60_000;
/** A connection that stayed this long was a good one: the next wait starts small again. */
const GOOD_AFTER_MS = 5000;

const reached = new EventTarget();

/**
 * Milliseconds before attempt `attempt` (from 0), spread so that not everyone returns at once.
 * @param {number} attempt @param {number} cutForMs since the connection was lost
 */
export function backoff(attempt, cutForMs = Infinity, random = Math.random) {
  const most = cutForMs < EARLY_FOR_MS ? EARLY_MAX_MS : BACKOFF_MAX_MS;
  const full = Math.min(most, BACKOFF_MIN_MS * 2 ** attempt);
  return Math.round(Math.max(BACKOFF_MIN_MS, full * (0.5 + random() / 2)));
}

export class Retries {
  /** @param {{connect(): void, cut(): void}} socket `connect` does nothing while there is one */
  constructor({ connect, cut }) {
    this.connect = connect;
    this.attempt = 0;
    this.timer = 0;
    /** When the connection was lost, and when the one there is, or was last, opened. */
    this.cutAt = this.openedAt = null;
    this.wasTurnedAway = false;
    this.end = new AbortController();
    const { signal } = this.end;
    addEventListener("online", connect, { signal });
    addEventListener("pageshow", connect, { signal });
    // A browser keeps a dead connection open for minutes when the network goes away under it.
    addEventListener("offline", cut, { signal });
    reached.addEventListener("open", () => this.#othersOpened(), { signal });
  }

  /** A server that lets in and hangs up at once is there, and has its reasons. */
  #othersOpened() {
    if (!this.wasTurnedAway) this.connect();
  }

  connecting() {
    clearTimeout(this.timer);
    this.openedAt = null;
  }

  opened() {
    this.openedAt = performance.now();
    reached.dispatchEvent(new Event("open"));
  }

  /** Try again later. @returns {number} after how many ms */
  later() {
    const now = performance.now();
    const lasted = this.openedAt === null ? null : now - this.openedAt;
    const wasGood = lasted !== null && lasted > GOOD_AFTER_MS;
    this.wasTurnedAway = lasted !== null && !wasGood;
    if (wasGood) this.attempt = 0;
    if (wasGood || this.cutAt === null) this.cutAt = now;
    const wait = backoff(this.attempt, now - this.cutAt);
    this.attempt += 1;
    this.timer = setTimeout(this.connect, wait);
    return wait;
  }

  close() {
    clearTimeout(this.timer);
    this.end.abort();
  }
}

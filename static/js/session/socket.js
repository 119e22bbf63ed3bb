// The transport: connects, resumes where it was cut, hands over every event once.

import {
  CLOSE_NOT_FOUND,
  CLOSE_NOT_SIGNED_IN,
  FrameError,
  Sequence,
  ackFrame,
  followFrame,
  parseBinaryFrame,
  parseTextFrame,
} from "berth/session/protocol";

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 10_000;
/** A connection that stayed this long was a good one: the next wait starts small again. */
const GOOD_AFTER_MS = 5000;
/** A server that says nothing at all while connecting is not there. */
const CONNECT_TIMEOUT_MS = 10_000;

const ENDINGS = new Map([
  [CLOSE_NOT_SIGNED_IN, "You are signed out."],
  [CLOSE_NOT_FOUND, "This session is gone."],
]);

/** Milliseconds before attempt `attempt` (from 0), spread so that not everyone returns at once. */
export function backoff(attempt, random = Math.random) {
  const full = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** attempt);
  return Math.round(Math.max(BACKOFF_MIN_MS, full * (0.5 + random() / 2)));
}

export class SessionSocket {
  /**
   * @param {string} url path of the websocket
   * @param {{onEvents(events: object[]): void, onControl?(frame: object): void,
   *          onState?(state: {name: "connecting" | "open" | "waiting" | "ended",
   *                           retryAt?: number, reason?: string, code?: number}): void}} handlers
   * @param {{after?: number, callId?: string}} options `callId`: only what belongs to that call
   */
  constructor(url, handlers, { after = 0, callId = "" } = {}) {
    this.url = new URL(url, location.href);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.handlers = handlers;
    this.callId = callId;
    this.sequence = new Sequence(after, callId === "");
    this.attempt = 0;
    this.resumedAfter = after;
    this.isEnded = false;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.timer = 0;
    this.retry = () => this.retryNow();
    this.cut = () => this.#cut();
    addEventListener("offline", this.cut);
    addEventListener("online", this.retry);
    addEventListener("pageshow", this.retry);
  }

  get lastSeq() {
    return this.sequence.last;
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    if (this.isEnded || this.socket) return;
    clearTimeout(this.timer);
    this.handlers.onState?.({ name: "connecting" });
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    let openedAt = 0;
    const after = this.lastSeq;
    const tooLong = setTimeout(() => socket.close(), CONNECT_TIMEOUT_MS);
    socket.onopen = () => {
      openedAt = performance.now();
      clearTimeout(tooLong);
      this.resumedAfter = after;
      socket.send(followFrame(after, this.callId));
      this.handlers.onState?.({ name: "open" });
    };
    socket.onmessage = (message) => {
      if (this.socket === socket) this.#received(message.data);
    };
    socket.onclose = (event) => {
      clearTimeout(tooLong);
      if (this.socket !== socket) return;
      this.socket = null;
      if (openedAt && performance.now() - openedAt > GOOD_AFTER_MS) this.attempt = 0;
      this.#closed(event.code);
    };
  }

  #received(data) {
    try {
      const frame = typeof data === "string" ? parseTextFrame(data) : null;
      if (frame && frame.type !== "events") {
        this.handlers.onControl?.(frame);
        return;
      }
      const events = this.sequence.take(frame ? frame.events : parseBinaryFrame(data));
      if (events.length) this.handlers.onEvents(events);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      console.error("session socket:", error.message);
      this.socket?.close(); // what is missing comes again after the reconnect
    }
  }

  #closed(code) {
    if (this.isEnded) return;
    if (code >= 4000 && code < 5000) {
      const reason = ENDINGS.get(code) ?? "The server refused this connection.";
      this.#end({ name: "ended", code, reason });
      return;
    }
    const wait = backoff(this.attempt);
    this.attempt += 1;
    this.timer = setTimeout(() => this.connect(), wait);
    this.handlers.onState?.({ name: "waiting", retryAt: Date.now() + wait });
  }

  /** A browser keeps a dead connection open for minutes when the network goes away under it. */
  #cut() {
    const { socket } = this;
    if (!socket) return;
    this.socket = null;
    socket.close();
    this.#closed(1006);
  }

  #end(state) {
    this.close();
    this.handlers.onState?.(state);
  }

  /** Everything up to `seq` is on the screen. What came by an earlier connection needs no word. */
  ack(seq) {
    if (this.isOpen && seq > this.resumedAfter) this.socket.send(ackFrame(seq));
  }

  /** A frame for this connection alone: it is lost with it. Says whether it went out. */
  send(frame) {
    if (this.isOpen) this.socket.send(frame);
    return this.isOpen;
  }

  retryNow() {
    if (!this.socket && !this.isEnded) this.connect();
  }

  close() {
    this.isEnded = true;
    clearTimeout(this.timer);
    removeEventListener("offline", this.cut);
    removeEventListener("online", this.retry);
    removeEventListener("pageshow", this.retry);
    this.socket?.close();
    this.socket = null;
  }
}

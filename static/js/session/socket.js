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
import { Retries } from "berth/session/retries";

/** A server that says nothing at all while connecting is not there. */
const CONNECT_TIMEOUT_MS = 10_000;

const ENDINGS = new Map([
  [CLOSE_NOT_SIGNED_IN, "You are signed out."],
  [CLOSE_NOT_FOUND, "This session is gone."],
]);

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
    this.resumedAfter = after;
    this.isEnded = false;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.retries = new Retries({ connect: () => this.connect(), cut: () => this.#cut() });
  }

  get lastSeq() {
    return this.sequence.last;
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    if (this.isEnded || this.socket) return;
    this.retries.connecting();
    this.handlers.onState?.({ name: "connecting" });
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    const after = this.lastSeq;
    const tooLong = setTimeout(() => socket.close(), CONNECT_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(tooLong);
      this.resumedAfter = after;
      socket.send(followFrame(after, this.callId));
      this.handlers.onState?.({ name: "open" });
      this.retries.opened();
    };
    socket.onmessage = (message) => {
      if (this.socket === socket) this.#received(message.data);
    };
    socket.onclose = (event) => {
      clearTimeout(tooLong);
      if (this.socket !== socket) return;
      this.socket = null;
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
    const wait = this.retries.later();
    this.handlers.onState?.({ name: "waiting", retryAt: Date.now() + wait });
  }

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
    this.connect();
  }

  close() {
    this.isEnded = true;
    this.retries.close();
    this.socket?.close();
    this.socket = null;
  }
}

// A shell's connection: comes back by itself, goes on by offsets, says when typing is possible.

import { CLOSE_NOT_FOUND, CLOSE_NOT_SIGNED_IN, FrameError } from "berth/session/protocol";
import { ShellInput } from "berth/session/shell_input";
import { inputFrame, parseControl, parseOutput } from "berth/session/shell_protocol";
import { Retries } from "berth/session/retries";

const PING_MS = 10_000;
const SILENCE_MS = 25_000;
const ACK_BYTES = 64 * 1024;
const ACK_MS = 100;
const ENDINGS = new Map([
  [CLOSE_NOT_SIGNED_IN, "You are signed out."],
  [CLOSE_NOT_FOUND, "This shell is gone."],
]);

/**
 * @typedef {{name: "connecting" | "open" | "waiting" | "refused", reason?: string}} Connection
 * @typedef {{viewer: string, user: string, is_mine: boolean, is_attached: boolean}} Keyboard
 */
export class ShellSocket {
  /**
   * @param {string} url @param {string} viewer this page's own name for itself, kept over a reload
   * @param {{onStart(start: object): void, onReplay(end: number): void, onOutput(offset: number, data: Uint8Array): void,
   *          onSize(columns: number, rows: number): void, onGap(length: number, start: object): void,
   *          onKeyboard(keyboard: Keyboard): void, onEnded(ended: object): void,
   *          onConnection(connection: Connection): void}} handlers
   */
  constructor(url, viewer, handlers) {
    this.url = new URL(url, location.href);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.viewer = viewer;
    this.handlers = handlers;
    this.input = new ShellInput((offset, data) => this.socket.send(inputFrame(offset, data)));
    /** Bytes handed over so far; null before the first. @type {number | null} */
    this.offset = null;
    this.rendered = this.acked = 0;
    this.isClosed = this.hasEnded = false;
    this.hadKeyboard = this.isSynced = false;
    this.socket = null;
    this.retries = new Retries({ connect: () => this.connect(), cut: () => this.#cut() });
  }

  connect() {
    if (this.isClosed || this.socket || this.hasEnded) return;
    this.retries.connecting();
    this.handlers.onConnection({ name: this.offset === null ? "connecting" : "waiting" });
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.heardAt = performance.now();
      const isNew = this.offset === null;
      socket.send(JSON.stringify({ type: "attach", viewer: this.viewer, offset: this.offset, is_new: isNew }));
      this.pinging = setInterval(() => this.#ping(), PING_MS);
      this.retries.opened();
    };
    socket.onmessage = ({ data }) => {
      if (this.socket === socket) this.#received(data);
    };
    socket.onclose = ({ code }) => {
      if (this.socket === socket) this.#closed(code);
    };
  }

  #ping() {
    if (performance.now() - this.heardAt > SILENCE_MS) this.#cut();
    else this.#say({ type: "ping" });
  }

  #say(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  #received(data) {
    this.heardAt = performance.now();
    try {
      if (typeof data !== "string") this.#output(parseOutput(data));
      else CONTROLS[data && parseControl(data).type]?.(this, JSON.parse(data));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      console.error("shell socket:", error.message);
      this.socket?.close();
    }
  }

  #output({ offset, data }) {
    if (offset !== this.offset) throw new FrameError(`Byte ${offset} came where ${this.offset} was due.`);
    this.offset += data.length;
    this.handlers.onOutput(offset, data);
  }

  started({ start, end }) {
    if (this.offset === null) {
      this.offset = this.rendered = this.acked = start.offset;
      this.handlers.onStart(start);
    }
    this.handlers.onReplay(end);
    this.handlers.onConnection({ name: "open" });
  }

  skipped({ length, start }) {
    this.offset = start.offset;
    this.handlers.onGap(length, start);
  }

  keyboard(frame) {
    if (!frame.is_mine) this.hadKeyboard = this.isSynced = false;
    else if (!this.isSynced && frame.is_attached) {
      if (this.hadKeyboard) this.input.resume(frame.offset, frame.limit);
      else this.input.reset(frame.offset, frame.limit);
      this.hadKeyboard = this.isSynced = true;
    }
    this.input.isOpen = frame.is_mine && frame.is_attached;
    this.input.flush();
    this.handlers.onKeyboard(frame);
  }

  /** All before `offset` is on the screen. */
  done(offset) {
    this.rendered = Math.max(this.rendered, offset);
    if (this.rendered - this.acked >= ACK_BYTES) this.#ack();
    else this.ackTimer ??= setTimeout(() => this.#ack(), ACK_MS);
  }

  #ack() {
    clearTimeout(this.ackTimer);
    this.ackTimer = null;
    if (this.rendered <= this.acked) return;
    this.acked = this.rendered;
    this.#say({ type: "ack", offset: this.acked });
  }

  take() {
    this.#say({ type: "take" });
  }

  resize(columns, rows) {
    this.#say({ type: "resize", columns, rows });
  }

  #cut() {
    const { socket } = this;
    if (!socket) return;
    this.socket = null;
    socket.close();
    this.#closed(1006);
  }

  #closed(code) {
    clearInterval(this.pinging);
    this.socket = null;
    this.input.isOpen = this.isSynced = false;
    if (this.isClosed || this.hasEnded) return;
    if (code >= 4000 && code < 5000) {
      this.handlers.onConnection({ name: "refused", reason: ENDINGS.get(code) ?? "The server refused this connection." });
      this.close();
      return;
    }
    this.retries.later();
    this.handlers.onConnection({ name: "waiting" });
  }

  close() {
    this.isClosed = true;
    this.retries.close();
    clearTimeout(this.ackTimer);
    clearInterval(this.pinging);
    this.socket?.close();
    this.socket = null;
  }
}

/** @type {Record<string, (socket: ShellSocket, frame: any) => void>} */
const CONTROLS = {
  hello: (socket, frame) => socket.started(frame),
  size: (socket, { columns, rows }) => socket.handlers.onSize(columns, rows),
  gap: (socket, frame) => socket.skipped(frame),
  keyboard: (socket, frame) => socket.keyboard(frame),
  credit: (socket, { offset, limit }) => socket.input.credit(offset, limit),
  ended: (socket, frame) => {
    socket.hasEnded = true;
    socket.handlers.onEnded(frame);
  },
};

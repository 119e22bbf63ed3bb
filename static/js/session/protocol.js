// The wire format of the websocket: frames in, frames out. Its other half is
// sessions/streaming/protocol.py.

/**
 * @typedef {{seq: number, at: number, type: string, [field: string]: any}} SessionEvent
 * @typedef {{type: "output", seq: number, at: number, call_id: string,
 *            stream: "stdout" | "stderr" | "pty", offset: number, data: Uint8Array}} OutputEvent
 *          A person's shell comes as events `shell.opened`, `.writer`, `.resized` and `.ended`; its
 *          output (stream `pty`) is empty here and has a socket of its own (shell_protocol.js).
 */

export const CLOSE_BAD_FRAME = 4400;
export const CLOSE_NOT_SIGNED_IN = 4401;
export const CLOSE_NOT_FOUND = 4404;
/** The server hangs up on a longer frame. */
export const MAX_CLIENT_FRAME_CHARS = 60_000;

/** A frame that does not follow the format: the connection cannot be trusted any further. */
export class FrameError extends Error {}

/** @returns {{type: string, [field: string]: any}} */
export function parseTextFrame(text) {
  let frame;
  try {
    frame = JSON.parse(text);
  } catch (error) {
    throw new FrameError("The frame is not JSON.", { cause: error });
  }
  if (typeof frame?.type !== "string") throw new FrameError("The frame has no type.");
  if (frame.type === "events") {
    if (!Array.isArray(frame.events)) throw new FrameError("The frame has no events.");
    for (const event of frame.events) {
      if (!Number.isSafeInteger(event?.seq) || typeof event.type !== "string") {
        throw new FrameError("An event has no number or no type.");
      }
    }
  }
  return frame;
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {OutputEvent[]} their `data` share the frame's memory
 */
export function parseBinaryFrame(buffer) {
  if (buffer.byteLength < 4) throw new FrameError("The frame is too short.");
  const headerLength = new DataView(buffer).getUint32(0);
  let position = 4 + headerLength;
  if (position > buffer.byteLength) throw new FrameError("The header is longer than the frame.");
  let header;
  try {
    header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerLength)));
  } catch (error) {
    throw new FrameError("The header is not JSON.", { cause: error });
  }
  if (!Array.isArray(header?.outputs)) throw new FrameError("The header has no outputs.");
  const events = header.outputs.map(({ length, ...output }) => {
    if (!Number.isSafeInteger(length) || length < 0 || position + length > buffer.byteLength) {
      throw new FrameError("An output is longer than the frame.");
    }
    if (!Number.isSafeInteger(output.seq)) throw new FrameError("An output has no number.");
    const data = new Uint8Array(buffer, position, length);
    position += length;
    return { ...output, type: "output", data };
  });
  if (position !== buffer.byteLength) throw new FrameError("The frame is longer than its outputs.");
  return events;
}

export function followFrame(after, callId = "") {
  return JSON.stringify(callId ? { type: "follow", after, call_id: callId } : { type: "follow", after });
}

export function ackFrame(seq) {
  return JSON.stringify({ type: "ack", seq });
}

/** Tell of changes in these folders, and no others. @param {string[]} folders */
export function watchFrame(folders) {
  return JSON.stringify({ type: "watch", folders });
}

/**
 * Lets every event through once. A number that came before is a repetition and is left out; with
 * `isWhole` (no filter on the server) a number left out is a broken promise and throws.
 */
export class Sequence {
  constructor(after = 0, isWhole = true) {
    this.last = after;
    this.isWhole = isWhole;
  }

  /**
   * @template {{seq: number}} T
   * @param {T[]} events
   * @returns {T[]}
   */
  take(events) {
    const fresh = events.filter((event) => event.seq > this.last);
    let expected = this.last + 1;
    for (const event of fresh) {
      if (this.isWhole ? event.seq !== expected : event.seq < expected) {
        throw new FrameError(`Event ${event.seq} came where ${expected} was due.`);
      }
      expected = event.seq + 1;
    }
    if (fresh.length) this.last = fresh[fresh.length - 1].seq;
    return fresh;
  }
}

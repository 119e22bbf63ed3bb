// The wire format of a shell's websocket. Its other half is sessions/streaming/shell_protocol.py.

import { FrameError } from "berth/session/protocol";

const HEAD_BYTES = 8;

/** @returns {{offset: number, data: Uint8Array}} what the shell printed */
export function parseOutput(buffer) {
  if (buffer.byteLength <= HEAD_BYTES) throw new FrameError("The frame is too short.");
  const offset = Number(new DataView(buffer).getBigUint64(0));
  if (!Number.isSafeInteger(offset)) throw new FrameError("The offset is too large.");
  return { offset, data: new Uint8Array(buffer, HEAD_BYTES) };
}

/** @param {number} offset @param {Uint8Array} data what was typed */
export function inputFrame(offset, data) {
  const frame = new Uint8Array(HEAD_BYTES + data.length);
  new DataView(frame.buffer).setBigUint64(0, BigInt(offset));
  frame.set(data, HEAD_BYTES);
  return frame;
}

/** @returns {{type: string, [field: string]: any}} */
export function parseControl(text) {
  let frame;
  try {
    frame = JSON.parse(text);
  } catch (error) {
    throw new FrameError("The frame is not JSON.", { cause: error });
  }
  if (typeof frame?.type !== "string") throw new FrameError("The frame has no type.");
  return frame;
}

/** The bytes to write before a screen begins in the middle. */
export function preludeOf(start) {
  return Uint8Array.from(atob(start.prelude), (character) => character.charCodeAt(0));
}

// What a person types, until the server has it: in order, once, and no more than it has room for.

/** A longer paste is refused as a whole. */
export const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const FRAME_BYTES = 48 * 1024;

/**
 * Offsets count all that was ever typed into the shell, by anybody. What was sent is kept until the
 * server says that it has it, and is sent again after a cut from where the server is.
 */
export class ShellInput {
  /** @param {(offset: number, data: Uint8Array) => void} send */
  constructor(send) {
    this.send = send;
    /** @type {Uint8Array[]} */
    this.pieces = [];
    this.base = 0; // offset of the first piece
    this.end = 0;
    this.sent = 0;
    this.limit = 0;
    this.isOpen = false;
  }

  /** @param {Uint8Array} data @returns {boolean} false when there is too much of it */
  add(data) {
    if (this.end - this.sent + data.length > MAX_WAITING_BYTES) return false;
    if (data.length) this.pieces.push(data);
    this.end += data.length;
    this.flush();
    return true;
  }

  /** The server has all before `offset` and takes all before `limit`. */
  credit(offset, limit) {
    this.#forget(offset);
    this.limit = limit;
    this.flush();
  }

  /** Another page typed meanwhile, or this one begins: nothing that waits is meant any more. */
  reset(offset, limit) {
    this.pieces = [];
    this.base = this.end = this.sent = offset;
    this.limit = limit;
  }

  /** After a cut, with nobody else having typed: what the server has not got is sent again. */
  resume(offset, limit) {
    if (offset < this.base || offset > this.end) {
      this.reset(offset, limit);
      return;
    }
    this.#forget(offset);
    this.sent = offset;
    this.limit = limit;
    this.flush();
  }

  flush() {
    while (this.isOpen && this.sent < Math.min(this.end, this.limit)) {
      const piece = this.#read(this.sent, Math.min(this.limit - this.sent, FRAME_BYTES));
      this.send(this.sent, piece);
      this.sent += piece.length;
    }
  }

  #read(offset, most) {
    let start = this.base;
    for (const piece of this.pieces) {
      if (offset < start + piece.length) return piece.subarray(offset - start, offset - start + most);
      start += piece.length;
    }
    return new Uint8Array();
  }

  #forget(offset) {
    while (this.pieces.length && this.base + this.pieces[0].length <= offset) {
      this.base += this.pieces.shift().length;
    }
  }
}

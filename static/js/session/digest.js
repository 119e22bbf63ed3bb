// A running checksum of what arrived, per call and stream, for tests and for the curious: the page
// shows it in `data-*` attributes of the call's card. CRC-32 as in zip and zlib.

const TABLE = new Uint32Array(256).map((_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

export class Crc32 {
  #state = 0xffffffff;

  /** @param {Uint8Array} bytes */
  update(bytes) {
    let state = this.#state;
    for (let i = 0; i < bytes.length; i += 1) state = TABLE[(state ^ bytes[i]) & 0xff] ^ (state >>> 8);
    this.#state = state;
  }

  /** Eight hexadecimal digits. */
  get hex() {
    return ((this.#state ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
  }
}

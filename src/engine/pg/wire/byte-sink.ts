/** Bytes put together piece by piece, for messages of many small values: one buffer instead of a string for each of them. */
import type { ByteText } from '../../change/change.ts';

const BACKSLASH = 92;
/** Of COPY's text format: what a byte below 14 is written as, behind a backslash. */
const LETTERS = Buffer.from('\0\0\0\0\0\0\0\0btnvfr');
const LAST_LETTER = LETTERS.length - 1;
/** Below it a loop is faster than a call. */
const SHORT = 12;

export class ByteSink {
  private buffer: Buffer;
  private at = 0;

  /** `expected` bytes, more or less. */
  constructor(expected: number) {
    this.buffer = Buffer.allocUnsafe(Math.max(64, Math.ceil(expected)));
  }

  byte(value: number): void {
    this.need(1);
    this.buffer[this.at++] = value;
  }

  /** Signed, or an oid. */
  int32(value: number): void {
    this.need(4);
    this.at = this.buffer.writeInt32BE(value | 0, this.at);
  }

  /** One byte per character. */
  text(value: ByteText): void {
    const { length } = value;
    this.need(length);
    if (length >= SHORT) {
      this.at += this.buffer.write(value, this.at, 'latin1');
      return;
    }
    const { buffer, at } = this;
    for (let character = 0; character < length; character++)
      buffer[at + character] = value.charCodeAt(character);
    this.at += length;
  }

  /** Bytes of a value in COPY's text format: those that mean something there go escaped. */
  escaped(bytes: Uint8Array, from: number, to: number): void {
    this.need(2 * (to - from));
    const { buffer } = this;
    let { at } = this;
    for (let next = from; next < to; next++) {
      const byte = bytes[next] ?? 0;
      // Nearly all are plain: nothing else may be done for those.
      if (byte > LAST_LETTER && byte !== BACKSLASH) {
        buffer[at++] = byte;
        continue;
      }
      const letter = byte === BACKSLASH ? BACKSLASH : (LETTERS[byte] ?? 0);
      if (letter !== 0) buffer[at++] = BACKSLASH;
      buffer[at++] = letter === 0 ? byte : letter;
    }
    this.at = at;
  }

  /** What was put in so far; nothing may be added afterwards. */
  bytes(): Buffer {
    return this.buffer.subarray(0, this.at);
  }

  private need(more: number): void {
    if (this.at + more <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.at + more, this.buffer.length * 2));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }
}

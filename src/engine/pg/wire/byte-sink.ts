/** Bytes put together piece by piece, for messages of many small values: one buffer instead of a string for each of them. */
import type { ByteText } from '../../change/change.ts';

const BACKSLASH = 92;
/** Of COPY's text format: what a byte below 14 is written as, behind a backslash. */
const LETTERS = Buffer.from('\0\0\0\0\0\0\0\0btnvfr');
const LAST_LETTER = LETTERS.length - 1;
/** Below it a loop is faster than a call. */
const SHORT = 12;
/** From it on a call is faster. */
const LONG = 48;

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

  int16(value: number): void {
    this.need(2);
    this.buffer[this.at++] = (value >> 8) & 255;
    this.buffer[this.at++] = value & 255;
  }

  /** A safe integer. */
  int64(value: number): void {
    this.int32(Math.floor(value / 2 ** 32));
    this.int32(value % 2 ** 32);
  }

  bigInt64(value: bigint): void {
    this.need(8);
    this.at = this.buffer.writeBigInt64BE(BigInt.asIntN(64, value), this.at);
  }

  double(value: number): void {
    this.need(8);
    this.at = this.buffer.writeDoubleBE(value, this.at);
  }

  raw(bytes: Buffer, from: number, to: number): void {
    this.need(to - from);
    if (to - from >= LONG) {
      this.at += bytes.copy(this.buffer, this.at, from, to);
      return;
    }
    const { buffer } = this;
    let { at } = this;
    for (let next = from; next < to; next++) buffer[at++] = bytes[next] ?? 0;
    this.at = at;
  }

  /** Leaves room for an int32 that is known later. */
  mark(): number {
    this.int32(0);
    return this.at - 4;
  }

  setInt32(mark: number, value: number): void {
    this.buffer.writeInt32BE(value, mark);
  }

  /** Of what was put in behind the mark. */
  setLength(mark: number): void {
    this.setInt32(mark, this.at - mark - 4);
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

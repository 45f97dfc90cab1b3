/** Bytes put together piece by piece, for messages of many small values: one buffer instead of a string for each of them. */
import type { ByteText } from '../../change/change.ts';

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

/** What the encoders share: how they are called, where texts become bytes for them, and how digits are read from bytes. */
import type { ByteText } from '../../change/change.ts';
import type { ByteSink } from '../wire/byte-sink.ts';

/**
 * Puts the length of the value whose text lies in `bytes` between `from` and `to`, and its binary form, into the sink. False where the
 * text is none that it knows; what it has put in until then is to be thrown away.
 */
export type Encoder = (bytes: Buffer, from: number, to: number, sink: ByteSink) => boolean;

/** Texts as the bytes that encoders read, each until the next. */
export class Scratch {
  private bytes = Buffer.alloc(0);

  /** From 0 to the text's length. */
  write(text: ByteText): Buffer {
    if (this.bytes.length < text.length) this.bytes = Buffer.alloc(Math.max(256, 2 * text.length));
    this.bytes.write(text, 0, 'latin1');
    return this.bytes;
  }
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

/** The number that these digits make; NaN where one is none, or there are none. */
export function digits(bytes: Buffer, from: number, to: number): number {
  let value = from === to ? Number.NaN : 0;
  for (let at = from; at < to; at++)
    value = isDigit(bytes[at]) ? value * 10 + (bytes[at] ?? 0) - 0x30 : Number.NaN;
  return value;
}

/** One-dimensional arrays with elements counted from 1, which nearly all are. */
import { ByteSink } from '../wire/byte-sink.ts';
import type { Encoder } from './text-bytes.ts';

const [OPEN, CLOSE, COMMA, QUOTE, BACKSLASH] = [0x7b, 0x7d, 0x2c, 0x22, 0x5c];

/** Of `elementType`, an oid. The delimiter of all types that are encoded is a comma. */
export function arrayEncoder(elementType: number, encode: Encoder): Encoder {
  return (bytes, from, to, sink) => {
    if (bytes[from] !== OPEN || bytes[to - 1] !== CLOSE) return false;
    const length = sink.mark();
    const isEmpty = to - from === 2;
    for (const field of [isEmpty ? 0 : 1, 0, elementType]) sink.int32(field);
    if (!isEmpty) {
      const head = sink.mark();
      sink.int32(1);
      const elements = new Elements(bytes, from + 1, to - 1);
      let count = 0;
      for (; elements.next(); count++) {
        if (elements.isNull) sink.int32(-1);
        else if (!encode(elements.bytes, elements.from, elements.to, sink)) return false;
      }
      if (elements.isUnknown) return false;
      sink.setInt32(head, count);
      sink.setInt32(head - 8, elements.hasNull ? 1 : 0);
    }
    sink.setLength(length);
    return true;
  };
}

/** The elements of an array's text, one after the other. */
class Elements {
  bytes: Buffer;
  from = 0;
  to = 0;
  isNull = false;
  hasNull = false;
  /** There is something else in it than plain elements: another dimension. */
  isUnknown = false;
  private readonly text: Buffer;
  private readonly end: number;
  private at: number;

  constructor(text: Buffer, from: number, to: number) {
    this.text = text;
    this.bytes = text;
    this.at = from;
    this.end = to;
  }

  next(): boolean {
    if (this.at > this.end || this.isUnknown) return false;
    this.isNull = false;
    if (this.text[this.at] === QUOTE) this.quoted();
    else this.plain();
    if (this.at < this.end && this.text[this.at] !== COMMA) this.isUnknown = true;
    this.at++;
    return !this.isUnknown;
  }

  private plain(): void {
    const { text, end } = this;
    this.bytes = text;
    this.from = this.at;
    while (this.at < end && text[this.at] !== COMMA) {
      const byte = text[this.at];
      if (byte === OPEN || byte === BACKSLASH || byte === QUOTE) this.isUnknown = true;
      this.at++;
    }
    this.to = this.at;
    if (this.from === this.to) this.isUnknown = true;
    this.isNull = this.to - this.from === 4 && text.toString('latin1', this.from, this.to) === 'NULL';
    this.hasNull ||= this.isNull;
  }

  private quoted(): void {
    const { text, end } = this;
    const from = this.at + 1;
    let at = from;
    let isEscaped = false;
    for (; at < end && text[at] !== QUOTE; at++) {
      if (text[at] !== BACKSLASH) continue;
      isEscaped = true;
      at++;
    }
    if (at >= end) this.isUnknown = true;
    this.at = at + 1;
    this.bytes = isEscaped ? unescaped(text, from, at) : text;
    this.from = isEscaped ? 0 : from;
    this.to = isEscaped ? this.bytes.length : at;
  }
}

function unescaped(text: Buffer, from: number, to: number): Buffer {
  const sink = new ByteSink(to - from);
  for (let at = from; at < to; at++) {
    if (text[at] === BACKSLASH) at++;
    sink.byte(text[at] ?? 0);
  }
  return sink.bytes();
}

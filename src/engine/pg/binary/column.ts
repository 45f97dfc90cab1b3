/** The values of a column as one array parameter in its binary form, from the text form of the values. Pure. */
import { ByteSink } from '../wire/byte-sink.ts';
import type { Encoder } from './text-bytes.ts';

const NULL = -1;

/**
 * Dimensions, a flag for nulls, the element type, the number of elements, the lower bound; then each element behind its length.
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/adt/arrayfuncs.c (array_recv)
 */
export class BinaryColumn {
  private readonly sink: ByteSink;
  private readonly encode: Encoder;
  private readonly nulls: number;
  private readonly length: number;
  private hasNull = false;
  private count = 0;

  /** `elementType`: its oid. */
  constructor(elementType: number, encode: Encoder, expectedBytes: number) {
    this.encode = encode;
    this.sink = new ByteSink(expectedBytes);
    this.sink.int32(1);
    this.nulls = this.sink.mark();
    this.sink.int32(elementType);
    this.length = this.sink.mark();
    this.sink.int32(1);
  }

  putNull(): void {
    this.count++;
    this.hasNull = true;
    this.sink.int32(NULL);
  }

  /** The value whose text lies there. False where that is not known: then the column must go as text. */
  put(bytes: Buffer, from: number, to: number): boolean {
    this.count++;
    return this.encode(bytes, from, to, this.sink);
  }

  bytes(): Buffer {
    this.sink.setInt32(this.nulls, this.hasNull ? 1 : 0);
    this.sink.setInt32(this.length, this.count);
    return this.sink.bytes();
  }
}

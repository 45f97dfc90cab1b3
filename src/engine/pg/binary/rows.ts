/** Rows of `COPY … FROM STDIN (FORMAT binary)`, from the text form of their values. Pure. */
import type { ByteText } from '../../change/change.ts';
import { HEAD, NULL_TAG, type PackedRow } from '../../change/packed-row.ts';
import { ByteSink } from '../wire/byte-sink.ts';
import { Scratch, type Encoder } from './text-bytes.ts';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const NULL = -1;

export class BinaryRows {
  private readonly sink: ByteSink;
  private readonly encoders: readonly Encoder[];
  private readonly scratch = new Scratch();

  /** `encoders`: of the columns that are written, in their order. */
  constructor(encoders: readonly Encoder[], expectedBytes: number) {
    this.encoders = encoders;
    this.sink = new ByteSink(expectedBytes);
    this.sink.raw(SIGNATURE, 0, SIGNATURE.length);
  }

  /** Of the columns that are `isWritten`. False where a value has a text that is not known: then the rows must go as text. */
  putPacked({ bytes, begin, end }: PackedRow, isWritten: readonly boolean[]): boolean {
    const { sink, encoders } = this;
    sink.int16(encoders.length);
    for (let at = begin, column = 0, written = 0; at < end; column++) {
      const isNull = bytes[at] === NULL_TAG;
      const from = isNull ? at + 1 : at + HEAD;
      const to = isNull ? from : from + bytes.readUInt32BE(at + 1);
      at = to;
      if (isWritten[column] !== true) continue;
      const encode = encoders[written++];
      if (isNull) sink.int32(NULL);
      else if (encode?.(bytes, from, to, sink) !== true) return false;
    }
    return true;
  }

  /** Its cells in the order of the columns that are written. As `putPacked`. */
  put(cells: readonly (ByteText | null)[]): boolean {
    const { sink, encoders } = this;
    sink.int16(encoders.length);
    for (const [at, cell] of cells.entries()) {
      if (cell === null) sink.int32(NULL);
      else if (encoders[at]?.(this.scratch.write(cell), 0, cell.length, sink) !== true) return false;
    }
    return true;
  }

  /** What the COPY is sent. */
  bytes(): Buffer {
    this.sink.int16(-1);
    return this.sink.bytes();
  }
}

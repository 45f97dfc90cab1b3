/** The cells of columns as one array parameter each, in the form that costs least to write and to read. Pure. */
import { isLarge, type ByteText, type Cell } from '../../../change/change.ts';
import { cellOf, HEAD, NULL_TAG, PackedRow, type Row } from '../../../change/packed-row.ts';
import { value } from './apply-sql.ts';
import { BinaryColumn } from '../../../pg/binary/column.ts';
import { encoderFor } from '../../../pg/binary/encoder.ts';
import { Scratch, type Encoder } from '../../../pg/binary/text-bytes.ts';

/** `{"a",NULL,"b\"c"}`: the text form of a one-dimensional array. */
export function arrayLiteral(cells: readonly (ByteText | null)[]): ByteText {
  const parts = cells.map((cell) =>
    cell === null ? 'NULL' : `"${/["\\]/.test(cell) ? cell.replace(/["\\]/g, '\\$&') : cell}"`,
  );
  return `{${parts.join(',')}}` as ByteText;
}

const TEXT = 25;
/** Types that take the text of any value as it is: json, jsonb, text, character, character varying. */
const TEXTUAL = new Set([114, 3802, TEXT, 1042, 1043]);

/** A column of the rows, and the type that its array's elements have on the target. */
export interface ArrayColumn {
  /** Its place in the rows. */
  readonly at: number;
  readonly sourceType: number;
  readonly typeOid: number;
  readonly typeKind: string;
  /** The elements travel as text, whatever the column is. */
  readonly isText: boolean;
}

export interface ArrayParameter {
  readonly bytes: ByteText | Buffer;
  readonly isBinary: boolean;
}

/** One parameter a column. A server reads the binary form much faster than the text form, which it takes apart character by character. */
export function arraysOf(rows: readonly Row[], columns: readonly ArrayColumn[]): ArrayParameter[] {
  const binary = new BinaryColumns(rows, columns);
  for (const row of rows) binary.add(row);
  return columns.map(({ at }) => {
    const bytes = binary.bytes(at);
    return bytes === null
      ? { bytes: arrayLiteral(rows.map((row) => small(cellOf(row, at)))), isBinary: false }
      : { bytes, isBinary: true };
  });
}

/** Large values go alone. */
export function small(cell: Cell | undefined): ByteText | null {
  const known = value(cell);
  if (isLarge(known)) throw new Error('a large value in a set');
  return known;
}

function encoderOf({ sourceType, typeOid, typeKind, isText }: ArrayColumn): Encoder | null {
  if (isText) return encoderFor(TEXT, { typeOid: TEXT, typeKind: 'b' });
  return encoderFor(TEXTUAL.has(typeOid) ? typeOid : sourceType, { typeOid, typeKind });
}

const LENGTH_BYTES = 4;

class BinaryColumns {
  /** By their place in the rows; null where the values, or one of them, have no binary form that we write. */
  private readonly byPlace: (BinaryColumn | null)[] = [];
  private readonly scratch = new Scratch();

  constructor(rows: readonly Row[], columns: readonly ArrayColumn[]) {
    const [first = []] = rows;
    for (const column of columns) {
      while (this.byPlace.length <= column.at) this.byPlace.push(null);
      const encoder = encoderOf(column);
      if (encoder === null) continue;
      const type = column.isText ? TEXT : column.typeOid;
      const bytes = LENGTH_BYTES + (small(cellOf(first, column.at) ?? null)?.length ?? 0);
      this.byPlace[column.at] = new BinaryColumn(type, encoder, 1.25 * rows.length * bytes);
    }
  }

  add(row: Row): void {
    if (row instanceof PackedRow) this.addPacked(row);
    else
      for (const [at, column] of this.byPlace.entries()) {
        if (column === null) continue;
        const cell = small(row[at]);
        if (cell === null) column.putNull();
        else if (!column.put(this.scratch.write(cell), 0, cell.length)) this.byPlace[at] = null;
      }
  }

  bytes(at: number): Buffer | null {
    return this.byPlace[at]?.bytes() ?? null;
  }

  private addPacked({ bytes, begin, end }: PackedRow): void {
    const { byPlace } = this;
    for (let next = begin, at = 0; at < byPlace.length; at++) {
      // Arrays of different lengths would be filled up with NULL.
      if (next >= end) throw new Error('a row that lacks a column');
      const isNull = bytes[next] === NULL_TAG;
      const from = isNull ? next + 1 : next + HEAD;
      next = isNull ? from : from + bytes.readUInt32BE(from - 4);
      const column = byPlace[at];
      if (!column) continue;
      if (isNull) column.putNull();
      else if (!column.put(bytes, from, next)) byPlace[at] = null;
    }
  }
}

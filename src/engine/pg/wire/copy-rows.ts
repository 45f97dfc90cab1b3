/**
 * The decoding path of a copy: rows of COPY's text format as cells and back, for tables whose rows must be looked at on their way. Beside
 * the raw relay, which does not know rows; it holds one row at a time.
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import type { ByteText } from '../../change/change.ts';
import { HEAD, NULL_TAG, type PackedRow } from '../../change/packed-row.ts';
import { ByteSink } from './byte-sink.ts';
import { copyDataMessage } from './messages.ts';

/** In the order of the COPY's columns. */
export type CopyRow = readonly (ByteText | null)[];

/** Null leaves the row out. */
export type RowTransform = (row: CopyRow) => CopyRow | null;

const NULL = '\\N' as ByteText;
const TAB = 9;
const NEWLINE = 10;

const LETTERS: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  ...Object.fromEntries(Object.entries(LETTERS).map(([letter, char]) => [char, `\\${letter}`])),
};

/** One CopyData payload of `COPY … TO STDOUT` in text format: a line. */
export function decodeRow(payload: Buffer): CopyRow {
  // A row without columns is an empty line; one empty string looks the same, and is told apart by whoever knows the columns.
  const end = payload[payload.length - 1] === 0x0a ? payload.length - 1 : payload.length;
  const cells = payload.toString('latin1', 0, end).split('\t');
  return cells.map((cell) => {
    if (!cell.includes('\\')) return cell as ByteText;
    if (cell === '\\N') return null;
    return cell.replace(/\\(.)/gs, (_, letter: string) => LETTERS[letter] ?? letter) as ByteText;
  });
}

const SPECIAL = /[\\\b\f\n\r\t\v]/;
const ALL_SPECIAL = new RegExp(SPECIAL, 'g');

/** A line of `COPY … FROM STDIN`. */
export function putRow(row: CopyRow, sink: ByteSink): void {
  for (let at = 0; at < row.length; at++) {
    const cell = row[at] ?? null;
    if (at > 0) sink.byte(TAB);
    if (cell === null) sink.text(NULL);
    else if (!SPECIAL.test(cell)) sink.text(cell);
    else sink.text(cell.replace(ALL_SPECIAL, (char) => ESCAPES[char] ?? char) as ByteText);
  }
  sink.byte(NEWLINE);
}

/** As putRow, of the columns that are `isWritten`, from a row that nobody has taken apart. */
export function putPackedRow(row: PackedRow, isWritten: readonly boolean[], sink: ByteSink): void {
  const { bytes, begin, end } = row;
  let isFirst = true;
  for (let at = begin, column = 0; at < end; column++) {
    const isNull = bytes[at] === NULL_TAG;
    const from = isNull ? at + 1 : at + HEAD;
    const to = isNull ? from : from + bytes.readUInt32BE(at + 1);
    at = to;
    if (isWritten[column] !== true) continue;
    if (!isFirst) sink.byte(TAB);
    isFirst = false;
    if (isNull) sink.text(NULL);
    else sink.escaped(bytes, from, to);
  }
  sink.byte(NEWLINE);
}

export function encodeRow(row: CopyRow): Buffer {
  const sink = new ByteSink(256);
  putRow(row, sink);
  return sink.bytes();
}

/** A CopyData message through the transform: the message to send on, or null. */
export function transformMessage(payload: Buffer, transform: RowTransform): Buffer | null {
  const row = transform(decodeRow(payload));
  return row === null ? null : copyDataMessage(encodeRow(row));
}

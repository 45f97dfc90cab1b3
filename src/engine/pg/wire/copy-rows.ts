/**
 * The decoding path of a copy: rows of COPY's text format as cells and back, for tables whose rows must be looked at on their way. Beside
 * the raw relay, which does not know rows; it holds one row at a time.
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import type { ByteText } from '../../change/change.ts';
import { copyDataMessage } from './messages.ts';

/** In the order of the COPY's columns. */
export type CopyRow = readonly (ByteText | null)[];

/** Null leaves the row out. */
export type RowTransform = (row: CopyRow) => CopyRow | null;

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

/** A line of `COPY … FROM STDIN`. */
export function copyLine(row: CopyRow): string {
  let line = '';
  for (const [at, cell] of row.entries()) {
    if (at > 0) line += '\t';
    if (cell === null) line += '\\N';
    else if (/[\\\b\f\n\r\t\v]/.test(cell))
      line += cell.replace(/[\\\b\f\n\r\t\v]/g, (char) => ESCAPES[char] ?? char);
    else line += cell;
  }
  return `${line}\n`;
}

export function encodeRow(row: CopyRow): Buffer {
  return Buffer.from(copyLine(row), 'latin1');
}

/** A CopyData message through the transform: the message to send on, or null. */
export function transformMessage(payload: Buffer, transform: RowTransform): Buffer | null {
  const row = transform(decodeRow(payload));
  return row === null ? null : copyDataMessage(encodeRow(row));
}

/** The key by which letters of one row are found. Pure. */
import { UNCHANGED, type ByteText } from '../change/change.ts';
import type { Letter, LetterRows } from './stored-letters.ts';

/** The key of the row as the letter leaves it; of a row that it deletes, the key that it had. */
export function keyAfter(
  { keyColumns, key }: Letter,
  { columns, new: row }: LetterRows,
): (ByteText | null)[] {
  return keyColumns.map((name, at) => {
    const cell = row?.[columns.indexOf(name)];
    return cell === undefined || cell === UNCHANGED ? (key[at] ?? null) : (cell as ByteText | null);
  });
}

/** A parameter of type bytea[]. */
export function arrayOfBytes(cells: readonly (ByteText | null)[]): string {
  const parts = cells.map((cell) =>
    cell === null ? 'NULL' : `"\\\\x${Buffer.from(cell, 'latin1').toString('hex')}"`,
  );
  return `{${parts.join(',')}}`;
}

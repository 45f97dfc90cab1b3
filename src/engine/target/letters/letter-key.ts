/** The key by which letters of one row are found. Pure. */
import { createHash } from 'node:crypto';
import { isLarge, UNCHANGED, type ByteText, type Cell } from '../../change/change.ts';
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

/** By which an index finds the letters of a row. */
export function digestOfKey(cells: readonly Cell[]): string {
  const hash = createHash('sha256');
  for (const cell of cells) {
    const bytes = typeof cell === 'string' ? Buffer.from(cell, 'latin1') : isLarge(cell) ? cell : null;
    hash.update(bytes === null ? 'null ' : `${bytes.length} `);
    if (bytes !== null) hash.update(bytes);
  }
  return hash.digest('base64');
}

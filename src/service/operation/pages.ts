/** Lists, page by page: the cursor is the key of the last row, opaque to callers. */
import { AppError } from '../../base/errors/app-error.ts';
import type { Page } from '../store/page.ts';

interface Wanted {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

interface Shape<Row, Item> {
  /** Its place in the order of the list. */
  readonly key: (row: Row) => string;
  readonly show: (row: Row) => Item;
  /** Whether it is a key of this list, where that is more than a name; another one is of somewhere else. */
  readonly like?: (key: string) => boolean;
}

/** The key of a list by number. */
export function isNumber(key: string): boolean {
  return /^\d{1,18}$/.test(key);
}

/** Reads one more than asked for: then there is a next page. Throws INPUT_INVALID for a cursor of somewhere else. */
export async function listPage<Row, Item>(
  wanted: Wanted,
  read: (page: Page) => Promise<Row[]>,
  { key, show, like = () => true }: Shape<Row, Item>,
): Promise<{ items: Item[]; nextCursor: string | null }> {
  const after = wanted.cursor === undefined ? null : decode(wanted.cursor, like);
  const rows = await read({ after, limit: wanted.limit + 1 });
  const shown = rows.slice(0, wanted.limit);
  const last = rows.length > wanted.limit ? shown.at(-1) : undefined;
  return { items: shown.map(show), nextCursor: last === undefined ? null : encode(key(last)) };
}

function encode(key: string): string {
  return Buffer.from(JSON.stringify([key])).toString('base64url');
}

function decode(cursor: string, like: (key: string) => boolean): string {
  try {
    const [key] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown[];
    if (typeof key === 'string' && !key.includes('\0') && key.isWellFormed() && like(key)) return key;
  } catch {
    // Said below.
  }
  throw new AppError('INPUT_INVALID', { problem: 'cursor: not one that a list has given' });
}

/** What a task says about names on the target, read from its text. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import type { Capitalization } from '../../contract/task-spec.ts';
import type { QualifiedName } from '../change/relation.ts';
import { parseNames, type Selectable } from './selection.ts';

/** The names of a task: `rename` as the user wrote it, the letters of all other names, and what is left out. */
export interface NameWishes {
  /**
   * `schema.table` → `schema.table`, `schema.*` → `schema.*` for a schema with all that is in it, `schema.table.column` → `column`; a
   * schema may be left out on the left side where only one has the table.
   */
  readonly rename: Readonly<Record<string, string>>;
  readonly capitalization: Capitalization;
  /** `schema.table.column`, with wildcards as in table patterns: left out. */
  readonly excludeColumns: readonly string[];
}

export type Renaming =
  | { readonly kind: 'schema'; readonly from: string; readonly to: string }
  | { readonly kind: 'table'; readonly from: Wanted; readonly to: QualifiedName }
  | { readonly kind: 'column'; readonly from: Wanted; readonly column: string; readonly to: string };

/** A table of the source as the user named it; schema null: whichever has it. */
export interface Wanted {
  /** As it was written. */
  readonly text: string;
  readonly schema: string | null;
  readonly name: string;
}

/** Throws USAGE for a renaming whose sides do not go together. */
export function parseRenaming(from: string, to: string): Renaming {
  const [left, right] = [parseNames(from), parseNames(to)];
  const [first = '', second, third] = left;
  const [target = '', targetName] = right;
  if (from.endsWith('.*') && left.length === 2) {
    if (!to.endsWith('.*') || right.length !== 2) throw unclear(from, to);
    return { kind: 'schema', from: first, to: target };
  }
  if (third !== undefined) {
    if (right.length !== 1) throw unclear(from, to);
    return {
      kind: 'column',
      from: { text: from, schema: first, name: second ?? '' },
      column: third,
      to: target,
    };
  }
  if (right.length !== 2 || targetName === undefined || to.endsWith('.*')) throw unclear(from, to);
  const wanted =
    second === undefined
      ? { text: from, schema: null, name: first }
      : { text: from, schema: first, name: second };
  return { kind: 'table', from: wanted, to: { schema: target, name: targetName } };
}

function unclear(from: string, to: string): AppError {
  return new AppError('USAGE', {
    problem: `"${from}=${to}" does not say which schema, table or column is called what.`,
    remedy: 'Write schema.table=schema.table, schema.*=schema.*, or schema.table.column=column.',
  });
}

/** The table of the source that is meant, and what was to become of it; null where it is gone and `mayBeGone`. Throws NOTHING_SELECTED, or USAGE where several may be. */
export function findTable<T extends Selectable>(
  selected: readonly T[],
  { text, schema, name }: Wanted,
  purpose: string,
  mayBeGone: boolean,
): T | null {
  const found = selected.filter((one) => one.name === name && (schema === null || one.schema === schema));
  const [table] = found;
  if (!table && mayBeGone) return null;
  if (!table) throw new AppError('NOTHING_SELECTED', { pattern: `"${text}" (${purpose})` });
  if (found.length > 1)
    throw new AppError('USAGE', {
      problem: `"${text}" does not say which schema.`,
      remedy: 'Write schema.table.',
    });
  return table;
}

/** What a server makes of a longer name (NAMEDATALEN). */
const NAME_BYTES = 63;

/** A name that a server takes as it is. Throws USAGE. */
export function fitting(name: string): string {
  if (Buffer.byteLength(name) <= NAME_BYTES) return name;
  throw new AppError('USAGE', {
    problem: `"${name}" is a name of more than ${NAME_BYTES} bytes.`,
    remedy: 'Give a shorter one with --rename.',
  });
}

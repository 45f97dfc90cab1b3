/**
 * The columns behind a change, with what the source's catalog tells of them now. What rows from before had in a column that was added is
 * in the catalog only where the server kept one value for all of them, and only as long as the table is not rewritten. Pure.
 */
import type { CatalogColumn } from '../../pg/catalog/tables/column-facts.ts';
import type { ChangedColumn, TableChange } from './table-change.ts';

/** What the rows that were there have in a column that was added. */
export type Past =
  | { readonly kind: 'null' }
  | { readonly kind: 'value'; readonly text: string }
  | { readonly kind: 'unknown'; readonly why: string };

export interface SourceColumn extends Pick<
  CatalogColumn,
  'name' | 'type' | 'typeOid' | 'typmod' | 'generated' | 'identity' | 'collation' | 'expression'
> {
  readonly attnum: number | null;
  /** Null: not known. */
  readonly notNull: boolean | null;
  readonly past: Past;
}

const NULL: Past = { kind: 'null' };
const unknown = (why: string): Past => ({ kind: 'unknown', why });
const IDENTITY = unknown('as an identity column it gives each row a value of its own');
const REWRITTEN = unknown(
  'what the rows had in it is not known any more: the table has been rewritten on the source',
);

/** `now`: the table on the source; `types`: the names of the changed columns' types. */
export function sourceColumns(
  { columns, from }: TableChange,
  now: readonly CatalogColumn[],
  { types, version }: { readonly types: readonly (string | null)[]; readonly version: number },
): SourceColumn[] {
  return columns.map((column, at): SourceColumn => {
    const found = now.find((one) =>
      column.attnum === null ? one.name === column.name : one.attnum === column.attnum,
    );
    const type = column.type ?? types[at] ?? '???';
    if (from === 'command')
      return {
        ...column,
        type,
        // Dropped since: nothing of it will be left.
        generated: found ? column.generated : '',
        identity: found ? column.identity : '',
        expression: found?.expression ?? null,
        past: pastOfCommand(column, found, version),
      };
    return {
      ...column,
      type,
      attnum: found?.attnum ?? null,
      notNull: found?.notNull ?? null,
      generated: '',
      identity: found?.identity ?? '',
      collation: found?.collation ?? null,
      expression: found?.expression ?? null,
      past: found ? pastOfShape(found, version) : NULL,
    };
  });
}

function pastOfCommand(column: ChangedColumn, now: CatalogColumn | undefined, version: number): Past {
  if (!now || column.generated !== '') return NULL;
  if (column.identity !== '') return IDENTITY;
  const missing = column.missing ?? now.missing;
  if (column.hasMissing) return missing === null ? REWRITTEN : { kind: 'value', text: missing };
  if (!column.hasDefault) return NULL;
  return unknown(
    version < 110_000
      ? 'what its default gave to the rows is not known on a source before PostgreSQL 11'
      : 'its default may give each row a value of its own',
  );
}

function pastOfShape(now: CatalogColumn, version: number): Past {
  if (now.identity !== '') return IDENTITY;
  if (now.missing !== null) return { kind: 'value', text: now.missing };
  if (now.expression !== null)
    return unknown('it has a default, and whether the rows were given a value by it is not known');
  if (version < 110_000)
    return unknown('what the rows had in it is not known on a source before PostgreSQL 11');
  return now.isUntouched ? NULL : REWRITTEN;
}

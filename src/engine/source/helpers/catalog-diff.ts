/** What happened to tables between two looks at a catalog. Pure. What came and went in between cannot be seen. */
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';

export type CatalogEvent = { readonly table: TableInfo } & (
  | { readonly kind: 'created' | 'dropped' }
  /** Under the name of a table that is gone there is another one. */
  | { readonly kind: 'replaced'; readonly before: TableInfo }
  /** The same, and it has partitions now: a table cannot be given any. */
  | { readonly kind: 'became-partitioned'; readonly before: TableInfo }
  | { readonly kind: 'renamed'; readonly before: TableInfo }
  /** `root`: oid of the partitioned table at its top, which may be another one than before. */
  | { readonly kind: 'attached' | 'detached'; readonly root: number }
  | { readonly kind: 'column-added' | 'column-dropped'; readonly column: string }
  | { readonly kind: 'column-renamed' | 'column-retyped'; readonly column: string; readonly before: string }
  | { readonly kind: 'identity-changed' | 'persistence-changed'; readonly before: TableInfo }
);

/** In the order of the tables in `after`; dropped ones last. `table` is the newest state known. */
export function diffTables(before: readonly TableInfo[], after: readonly TableInfo[]): CatalogEvent[] {
  const events: CatalogEvent[] = [];
  const known = new Map(before.map((table) => [table.oid, table]));
  const now = new Set(after.map(({ oid }) => oid));
  const key = ({ schema, name }: TableInfo) => JSON.stringify([schema, name]);
  const gone = new Map(before.filter(({ oid }) => !now.has(oid)).map((table) => [key(table), table]));
  for (const table of after) {
    const former = known.get(table.oid);
    if (former) {
      events.push(...diffTable(former, table));
      continue;
    }
    const predecessor = gone.get(key(table));
    if (!predecessor) events.push({ kind: 'created', table });
    else {
      gone.delete(key(table));
      const isPartitioned = table.kind === 'p' && predecessor.kind === 'r';
      events.push({
        kind: isPartitioned ? 'became-partitioned' : 'replaced',
        table,
        before: predecessor,
      });
    }
  }
  for (const table of gone.values()) events.push({ kind: 'dropped', table });
  return events;
}

function diffTable(before: TableInfo, table: TableInfo): CatalogEvent[] {
  const events: CatalogEvent[] = [];
  if (before.schema !== table.schema || before.name !== table.name)
    events.push({ kind: 'renamed', table, before });
  if (before.rootOid !== table.rootOid) {
    if (before.rootOid !== null) events.push({ kind: 'detached', table, root: before.rootOid });
    if (table.rootOid !== null) events.push({ kind: 'attached', table, root: table.rootOid });
  }
  events.push(...diffColumns(before, table));
  const identity = (of: TableInfo) => JSON.stringify([of.replicaIdentity, attnums(of)]);
  if (identity(before) !== identity(table)) events.push({ kind: 'identity-changed', table, before });
  if (before.persistence !== table.persistence) events.push({ kind: 'persistence-changed', table, before });
  return events;
}

/** A renamed key column is the same key. */
function attnums({ columns, identityColumns }: TableInfo): (number | undefined)[] {
  return identityColumns.map((name) => columns.find((column) => column.name === name)?.attnum);
}

/** By number: the server never uses one again. */
function diffColumns(before: TableInfo, table: TableInfo): CatalogEvent[] {
  const events: CatalogEvent[] = [];
  const former = new Map(before.columns.map((column) => [column.attnum, column]));
  for (const { attnum, name, type } of table.columns) {
    const column = former.get(attnum);
    former.delete(attnum);
    if (!column) events.push({ kind: 'column-added', table, column: name });
    else {
      if (column.name !== name)
        events.push({ kind: 'column-renamed', table, column: name, before: column.name });
      if (column.type !== type)
        events.push({ kind: 'column-retyped', table, column: name, before: column.type });
    }
  }
  for (const { name } of former.values()) events.push({ kind: 'column-dropped', table, column: name });
  return events;
}

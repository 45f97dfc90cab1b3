/** What the user has changed of the tables that are made: types of columns, and primary keys. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName, nameKey, type QualifiedName } from '../change/relation.ts';
import { findTable, type Wanted } from './renamings.ts';
import { parseNameList, parseNames, type Selectable } from './selection.ts';

/** As the user wrote it; the left sides, and the columns of a key, by the names of the source. */
export interface ChangeWishes {
  /** `schema.table.column` → a type of the target, in SQL. */
  readonly columnTypes?: Readonly<Record<string, string>>;
  /** `schema.table` → `column, column`. */
  readonly primaryKeys?: Readonly<Record<string, string>>;
}

/** Of tables and columns by their names on the source. Where the family of the target distributes rows, its keys have their place here. */
export interface TableChanges {
  /** The type that the user gives a column, as it was written (rewrite/type-name.ts reads it); null: that of the source. */
  readonly type: (table: QualifiedName, column: string) => string | null;
  /** The columns of the primary key that the user gives a table; null: that of the source. */
  readonly primaryKey: (table: QualifiedName) => readonly string[] | null;
  readonly changesTables: boolean;
}

interface ChangedTable extends Selectable {
  readonly columns: readonly { readonly name: string; readonly generated?: string }[];
}

/**
 * What is said of a partitioned table holds for its partitions. Throws NOTHING_SELECTED for a table or column that is not selected, USAGE
 * for what cannot be.
 */
export function tableChanges(
  selected: readonly ChangedTable[],
  { columnTypes = {}, primaryKeys = {} }: ChangeWishes,
  known: Omit<Parts, 'selected'>,
): TableChanges {
  const parts = { selected, ...known };
  const types = typesByTable(columnTypes, parts);
  const keys = keysByTable(primaryKeys, parts);
  return {
    type: (table, column) => types.get(nameKey(table))?.get(column) ?? null,
    primaryKey: (table) => keys.get(nameKey(table)) ?? null,
    changesTables: types.size + keys.size > 0,
  };
}

interface Parts {
  readonly selected: readonly ChangedTable[];
  readonly isLeftOut: (table: QualifiedName, column: string) => boolean;
  /** The tables are made, and the source may have changed since: what was named may be gone, and nothing is asked of it any more. */
  readonly hasBegun: boolean;
}

function typesByTable(
  wishes: Readonly<Record<string, string>>,
  parts: Parts,
): Map<string, Map<string, string>> {
  const types = new Map<string, Map<string, string>>();
  for (const [text, type] of Object.entries(wishes)) {
    const [schema, name, column] = parseNames(text);
    if (schema === undefined || name === undefined || column === undefined)
      throw new AppError('USAGE', {
        problem: `"${text}" is not a column.`,
        remedy: 'Write schema.table.column=type.',
      });
    const tables = tablesOf(parts, { text, schema, name }, 'to get another type');
    assertColumn(tables, column, parts);
    for (const table of tables)
      types.set(nameKey(table), (types.get(nameKey(table)) ?? new Map<string, string>()).set(column, type));
  }
  return types;
}

function keysByTable(wishes: Readonly<Record<string, string>>, parts: Parts): Map<string, readonly string[]> {
  const keys = new Map<string, readonly string[]>();
  for (const [text, list] of Object.entries(wishes)) {
    const [first = '', second, third] = parseNames(text);
    const columns = parseNameList(list);
    if (third !== undefined || new Set(columns).size < columns.length)
      throw new AppError('USAGE', {
        problem: `"${text}=${list}" is not a primary key.`,
        remedy:
          'Write schema.table=column,column; each column once, names with commas or dots in double quotes.',
      });
    const [schema, name] = second === undefined ? [null, first] : [first, second];
    const tables = tablesOf(parts, { text, schema, name }, 'to get another primary key');
    for (const column of columns) {
      const found = assertColumn(tables, column, parts);
      if (found && (found.column.generated ?? '') !== '')
        throw new AppError('USAGE', {
          problem: `Column "${column}" of ${displayName(found.table)} is generated, and cannot be in the primary key: changes do not carry it.`,
          remedy: 'Make the key of other columns.',
        });
    }
    for (const table of tables) keys.set(nameKey(table), columns);
  }
  return keys;
}

/** A table, and its partitions. None where it is gone. */
function tablesOf({ selected, hasBegun }: Parts, wanted: Wanted, purpose: string): readonly ChangedTable[] {
  const table = findTable(selected, wanted, purpose, hasBegun);
  if (!table) return [];
  const root = selected.find(({ oid }) => oid === table.rootOid);
  if (root && !hasBegun)
    throw new AppError('USAGE', {
      problem: `${displayName(table)} is a partition of ${displayName(root)}, and has its columns and keys.`,
      remedy: `Say it of ${displayName(root)}: it holds for all its partitions.`,
    });
  return [table, ...selected.filter(({ rootOid }) => rootOid === table.oid)];
}

/** The column of the first of the tables; null where it may be gone. */
function assertColumn(
  [table]: readonly ChangedTable[],
  column: string,
  { isLeftOut, hasBegun }: Parts,
): { readonly table: ChangedTable; readonly column: ChangedTable['columns'][number] } | null {
  if (!table || hasBegun) return null;
  const found = table.columns.find(({ name }) => name === column);
  if (!found)
    throw new AppError('NOTHING_SELECTED', { pattern: `column "${column}" of ${displayName(table)}` });
  if (isLeftOut(table, column))
    throw new AppError('USAGE', {
      problem: `Column "${column}" of ${displayName(table)} is left out, and cannot have another type or be in a key.`,
      remedy: 'Keep it, or leave it out of the other options.',
    });
  return { table, column: found };
}

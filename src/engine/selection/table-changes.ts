/** What the user has changed of the tables that are made: types of columns, and primary keys. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName, nameKey, type QualifiedName } from '../change/relation.ts';
import { findTable } from './renamings.ts';
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
  isLeftOut: (table: QualifiedName, column: string) => boolean,
): TableChanges {
  const parts = { selected, isLeftOut };
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
    assertColumn(tables[0], column, parts);
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
      const { generated = '' } = assertColumn(tables[0], column, parts);
      if (generated !== '')
        throw new AppError('USAGE', {
          problem: `Column "${column}" of ${displayName(tables[0])} is generated, and cannot be in the primary key: changes do not carry it.`,
          remedy: 'Make the key of other columns.',
        });
    }
    for (const table of tables) keys.set(nameKey(table), columns);
  }
  return keys;
}

/** A table, and its partitions. */
function tablesOf(
  { selected }: Parts,
  wanted: Parameters<typeof findTable>[1],
  purpose: string,
): readonly [ChangedTable, ...ChangedTable[]] {
  const table = findTable(selected, wanted, purpose);
  const root = selected.find(({ oid }) => oid === table.rootOid);
  if (root)
    throw new AppError('USAGE', {
      problem: `${displayName(table)} is a partition of ${displayName(root)}, and has its columns and keys.`,
      remedy: `Say it of ${displayName(root)}: it holds for all its partitions.`,
    });
  return [table, ...selected.filter(({ rootOid }) => rootOid === table.oid)];
}

function assertColumn(
  table: ChangedTable,
  column: string,
  { isLeftOut }: Parts,
): ChangedTable['columns'][number] {
  const found = table.columns.find(({ name }) => name === column);
  if (!found)
    throw new AppError('NOTHING_SELECTED', { pattern: `column "${column}" of ${displayName(table)}` });
  if (isLeftOut(table, column))
    throw new AppError('USAGE', {
      problem: `Column "${column}" of ${displayName(table)} is left out, and cannot have another type or be in a key.`,
      remedy: 'Keep it, or leave it out of the other options.',
    });
  return found;
}

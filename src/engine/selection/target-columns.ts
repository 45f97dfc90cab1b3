/** How columns are called on the target, and which are left out. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName, nameKey, type QualifiedName } from '../change/relation.ts';
import { findTable, fitting, type Renaming } from './renamings.ts';
import { columnMatcher, type Selectable } from './selection.ts';

export interface NamedTable extends Selectable {
  readonly columns: readonly { readonly name: string; readonly generated?: string }[];
  /** Of the replica identity. */
  readonly identityColumns?: readonly string[];
}

/** The source may have changed since: what was named may be gone, and two columns have come to one name, which stops their table only. */
export interface Begun {
  /** Columns that have other names than those which were left out, by the table's oid. */
  readonly leftOut: ReadonlyMap<number, ReadonlySet<string>>;
}

/** By nameKey of the table: the columns that were named. */
export function columnNames(
  selected: readonly NamedTable[],
  renamings: readonly Renaming[],
  { spell, begun }: { spell: (name: string) => string; begun: Begun | null },
): Map<string, Map<string, string>> {
  const named = new Map<string, Map<string, string>>();
  const ofTable = (table: QualifiedName) => {
    const names = named.get(nameKey(table)) ?? new Map<string, string>();
    named.set(nameKey(table), names);
    return names;
  };
  for (const one of renamings) {
    if (one.kind !== 'column') continue;
    const table = findTable(selected, one.from, 'to be renamed', begun !== null);
    if (!table) continue;
    if (!begun && !table.columns.some(({ name }) => name === one.column))
      throw new AppError('NOTHING_SELECTED', { pattern: `column "${one.column}" of ${displayName(table)}` });
    for (const each of [table, ...selected.filter(({ rootOid }) => rootOid === table.oid)])
      ofTable(each).set(one.column, fitting(one.to));
  }
  if (!begun) for (const table of selected) assertColumnsApart(table, named.get(nameKey(table)), spell);
  return named;
}

/** Also one that comes later. A column of a partitioned table is left out of its partitions too. */
export function excludedColumns(
  selected: readonly NamedTable[],
  patterns: readonly string[],
  begun: Begun | null,
): (table: QualifiedName, column: string) => boolean {
  if (patterns.length === 0) return () => false;
  const matchers = patterns.map((pattern) => ({ pattern, isNamed: columnMatcher(pattern) }));
  const byOid = new Map(selected.map((table) => [table.oid, table]));
  const byName = new Map(selected.map((table) => [nameKey(table), table]));
  const rootOf = (table: QualifiedName) => {
    const { rootOid = null } = byName.get(nameKey(table)) ?? {};
    return byOid.get(rootOid ?? -1) ?? table;
  };
  if (!begun)
    for (const { pattern, isNamed } of matchers) {
      const named = selected.flatMap((table) =>
        table.columns.flatMap(({ name }) => (isNamed(rootOf(table), name) ? [{ table, name }] : [])),
      );
      for (const { table, name } of named) assertNoKey(table, name);
      if (named.length === 0)
        throw new AppError('NOTHING_SELECTED', { pattern: `column "${pattern}" (to be left out)` });
    }
  const isLater = (table: QualifiedName, column: string) => {
    const { oid = -1 } = byName.get(nameKey(table)) ?? {};
    return begun?.leftOut.get(oid)?.has(column) === true;
  };
  return (table, column) =>
    matchers.some(({ isNamed }) => isNamed(rootOf(table), column)) || isLater(table, column);
}

/** Rows are found by it. */
function assertNoKey(table: NamedTable, column: string): void {
  if (!table.identityColumns?.includes(column)) return;
  throw new AppError('USAGE', {
    problem: `Column "${column}" is in the key of ${displayName(table)}, by which its rows are found.`,
    remedy: 'Keep it, or leave the table out.',
  });
}

function assertColumnsApart(
  table: NamedTable,
  named: ReadonlyMap<string, string> | undefined,
  spell: (name: string) => string,
): void {
  const taken = new Map<string, string>();
  for (const { name } of table.columns) {
    const target = named?.get(name) ?? spell(name);
    const other = taken.get(target);
    if (other !== undefined)
      throw new AppError('USAGE', {
        problem: `Columns "${other}" and "${name}" of ${displayName(table)} would both be "${target}".`,
        remedy: 'Give one of them another name with --rename schema.table.column=name.',
      });
    taken.set(target, name);
  }
}

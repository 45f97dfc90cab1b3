/** The one place that says what the destination has of a table of the source: its names, and what the user has changed of it. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import type { PartitionMode } from '../../contract/task-spec.ts';
import { displayName, nameKey, type QualifiedName } from '../change/relation.ts';
import { findTable, fitting, parseRenaming, type NameWishes, type Renaming } from './renamings.ts';
import { parseNames, type Selectable } from './selection.ts';
import { columnNames, excludedColumns, type Begun, type NamedTable } from './target-columns.ts';
import { tableChanges, type ChangeWishes, type TableChanges } from './table-changes.ts';

export interface TargetNames extends TableChanges {
  readonly schema: (name: string) => string;
  readonly table: (name: QualifiedName) => QualifiedName;
  /** Of a selected table; null: the column is left out. */
  readonly column: (table: QualifiedName, column: string) => string | null;
  /** Whether a type of the source, as the server writes it (`shop.mood[]`), is this one on the target. */
  readonly isType: (source: string, target: string) => boolean;
  /** Some name of the source is another one on the target, or not there. */
  readonly changesNames: boolean;
}

const LETTERS = {
  source: (name: string) => name,
  upper: (name: string) => fitting(name.toUpperCase()),
  lower: (name: string) => fitting(name.toLowerCase()),
};

export interface PartitionPlaces {
  /** Partitions keep names of their own, go where their renamed table goes, or always into what their table goes into. */
  readonly partitions: 'keep' | 'together' | 'plain';
  /** Those of a plain table that stand apart from it, by oid. */
  readonly apart?: { has(oid: number): boolean };
  /** Of a task that has begun. */
  readonly begun?: Begun;
}

/** `isMade`: by the migration, and not by the user. */
export function placesOf(
  partitions: PartitionMode,
  { isMade, ...more }: { readonly isMade: boolean } & Omit<PartitionPlaces, 'partitions'>,
): PartitionPlaces {
  return { partitions: partitions === 'plain' ? 'plain' : isMade ? 'keep' : 'together', ...more };
}

/**
 * A partition that is named itself goes where that says. A column renamed in a partitioned table is in its partitions too. Several tables
 * may go into one where each of them is named. Throws NOTHING_SELECTED for a name that is not selected, USAGE for two tables, or columns,
 * with one name otherwise.
 */
export function targetNames(
  selected: readonly NamedTable[],
  { rename, capitalization, excludeColumns, ...changed }: NameWishes & ChangeWishes,
  places: PartitionPlaces,
): TargetNames {
  const renamings = Object.entries(rename).map(([from, to]) => parseRenaming(from, to));
  const spell = LETTERS[capitalization];
  const { begun = null } = places;
  const schemas = schemaNames(selected, renamings, begun);
  const schema = (name: string) => schemas.get(name) ?? (isOfServer(name) ? name : spell(name));
  const named = tableNames(selected, renamings, begun);
  const followed = followedRoots(selected, named, places);
  const table = (name: QualifiedName) => {
    const own = followed.get(nameKey(name)) ?? name;
    const plain = { schema: schema(own.schema), name: spell(own.name) };
    const isSame = plain.schema === name.schema && plain.name === name.name;
    return named.get(nameKey(own)) ?? (isSame ? name : plain);
  };
  assertApart(selected, table, { named, followed });
  const isExcluded = excludedColumns(selected, excludeColumns, begun);
  const known = new Set(selected.map(nameKey));
  const columns = columnNames(selected, renamings, { spell, begun });
  return {
    ...tableChanges(selected, changed, { isLeftOut: isExcluded, hasBegun: begun !== null }),
    schema,
    table,
    // The row type of a table is called as the table is; other types keep their names.
    isType: (source, target) =>
      isSameType(source, target, (name) =>
        known.has(nameKey(name)) ? table(name) : { schema: schema(name.schema), name: name.name },
      ),
    column: (of, column) =>
      isExcluded(of, column) ? null : (columns.get(nameKey(of))?.get(column) ?? spell(column)),
    changesNames: renamings.length > 0 || capitalization !== 'source' || excludeColumns.length > 0,
  };
}

/** `schema.name`, and what stands behind it: `(12)`, `[]`. */
const QUALIFIED = /^((?:"(?:[^"]|"")+"|[^".()]+)\.(?:"(?:[^"]|"")+"|[^".()[]+))(.*)$/s;

function partsOfType(text: string): { readonly name: QualifiedName; readonly rest: string } | null {
  const [, qualified, rest = ''] = QUALIFIED.exec(text) ?? [];
  const [schema, name] = qualified === undefined ? [] : parseNames(qualified);
  return schema === undefined || name === undefined ? null : { name: { schema, name }, rest };
}

/** Whether two texts name one type, however they are quoted; `on`: what the first calls a name. */
export function isSameType(
  source: string,
  target: string,
  on = (name: QualifiedName): QualifiedName => name,
): boolean {
  if (source === target) return true;
  const [here, there] = [partsOfType(source), partsOfType(target)];
  return (
    here !== null &&
    there !== null &&
    here.rest === there.rest &&
    nameKey(on(here.name)) === nameKey(there.name)
  );
}

/** Its own schemas are called the same on every server. */
function isOfServer(schema: string): boolean {
  return schema.startsWith('pg_') || schema === 'information_schema';
}

function schemaNames(
  selected: readonly Selectable[],
  renamings: readonly Renaming[],
  begun: Begun | null,
): Map<string, string> {
  const names = new Map<string, string>();
  for (const one of renamings) {
    if (one.kind !== 'schema') continue;
    fitting(one.to);
    if (!begun && !selected.some(({ schema }) => schema === one.from))
      throw new AppError('NOTHING_SELECTED', { pattern: `"${one.from}.*" (to be renamed)` });
    names.set(one.from, one.to);
  }
  return names;
}

/** By nameKey: of the tables that were named. */
function tableNames(
  selected: readonly Selectable[],
  renamings: readonly Renaming[],
  begun: Begun | null,
): Map<string, QualifiedName> {
  const renamed = new Map<string, QualifiedName>();
  for (const one of renamings) {
    if (one.kind !== 'table') continue;
    fitting(one.to.schema);
    fitting(one.to.name);
    const table = findTable(selected, one.from, 'to be renamed', begun !== null);
    if (table) renamed.set(nameKey(table), one.to);
  }
  return renamed;
}

/** By nameKey of a partition: the table at its top, where it goes with that. */
function followedRoots(
  selected: readonly Selectable[],
  named: ReadonlyMap<string, QualifiedName>,
  { partitions, apart }: PartitionPlaces,
): Map<string, QualifiedName> {
  const byOid = new Map(selected.map((table) => [table.oid, table]));
  return new Map(
    selected.flatMap((table) => {
      const root = apart?.has(table.oid) === true ? undefined : byOid.get(table.rootOid ?? -1);
      if (!root || partitions === 'keep' || named.has(nameKey(table))) return [];
      return partitions === 'plain' || named.has(nameKey(root)) ? [[nameKey(table), root] as const] : [];
    }),
  );
}

/** A misspelt name must not put two tables together in silence. A partition goes where its table goes: what is asked of the one holds for the other. */
function assertApart(
  selected: readonly Selectable[],
  targetOf: (table: QualifiedName) => QualifiedName,
  {
    named,
    followed,
  }: { named: ReadonlyMap<string, QualifiedName>; followed: ReadonlyMap<string, QualifiedName> },
): void {
  for (const group of byTarget(selected, targetOf).values()) {
    const owners = new Set(group.map((table) => nameKey(followed.get(nameKey(table)) ?? table)));
    const [first] = group;
    if (!first || owners.size === 1 || [...owners].every((owner) => named.has(owner))) continue;
    throw new AppError('USAGE', {
      problem: `${group.map(displayName).join(' and ')} would go into one table, ${displayName(targetOf(first))}.`,
      remedy:
        'Give each table a target of its own, or name each of them with --rename if they are to go together.',
    });
  }
}

/** By nameKey of the target: the source tables that go into it. */
export function byTarget<T extends QualifiedName>(
  tables: readonly T[],
  targetOf: (table: QualifiedName) => QualifiedName,
): ReadonlyMap<string, readonly T[]> {
  return Map.groupBy(tables, (table) => nameKey(targetOf(table)));
}

/** Of the columns that the user gives another type, in whichever table: what the target calls them. */
export function retypedNames(tables: readonly NamedTable[], names: TargetNames): ReadonlySet<string> {
  const ofTable = (table: NamedTable) =>
    table.columns.flatMap(({ name }) =>
      names.type(table, name) === null ? [] : (names.column(table, name) ?? []),
    );
  return new Set(tables.flatMap(ofTable));
}

/** Target tables, by nameKey, that several of the tables go into. */
export function sharedTargets(
  tables: readonly QualifiedName[],
  targetOf: (table: QualifiedName) => QualifiedName,
): ReadonlySet<string> {
  const groups = [...byTarget(tables, targetOf)];
  return new Set(groups.flatMap(([target, group]) => (group.length > 1 ? [target] : [])));
}

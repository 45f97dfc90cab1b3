/** The one place that says what the destination has of a table of the source: its names, and what the user has changed of it. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import type { PartitionMode } from '../../contract/task-spec.ts';
import { displayName, nameKey, type QualifiedName } from '../change/relation.ts';
import { findTable, parseRenaming, type NameWishes, type Renaming } from './renamings.ts';
import { columnMatcher, parseNames, type Selectable } from './selection.ts';
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

export interface NamedTable extends Selectable {
  readonly columns: readonly { readonly name: string; readonly generated?: string }[];
  /** Of the replica identity. */
  readonly identityColumns?: readonly string[];
}

const LETTERS = {
  source: (name: string) => name,
  upper: (name: string) => fitting(name.toUpperCase()),
  lower: (name: string) => fitting(name.toLowerCase()),
};

/** What a server makes of a longer name (NAMEDATALEN). */
const NAME_BYTES = 63;

function fitting(name: string): string {
  if (Buffer.byteLength(name) <= NAME_BYTES) return name;
  throw new AppError('USAGE', {
    problem: `"${name}" is a name of more than ${NAME_BYTES} bytes.`,
    remedy: 'Give a shorter one with --rename.',
  });
}

export interface PartitionPlaces {
  /** Partitions keep names of their own, go where their renamed table goes, or always into what their table goes into. */
  readonly partitions: 'keep' | 'together' | 'plain';
  /** Those of a plain table that stand apart from it, by oid. */
  readonly apart?: { has(oid: number): boolean };
}

/** `isMade`: by the migration, and not by the user. */
export function placesOf(
  partitions: PartitionMode,
  { isMade, apart }: { readonly isMade: boolean; readonly apart?: { has(oid: number): boolean } },
): PartitionPlaces {
  return {
    partitions: partitions === 'plain' ? 'plain' : isMade ? 'keep' : 'together',
    ...(apart ? { apart } : {}),
  };
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
  const schemas = schemaNames(selected, renamings);
  const schema = (name: string) => schemas.get(name) ?? (isOfServer(name) ? name : spell(name));
  const named = tableNames(selected, renamings);
  const followed = followedRoots(selected, named, places);
  const table = (name: QualifiedName) => {
    const own = followed.get(nameKey(name)) ?? name;
    const plain = { schema: schema(own.schema), name: spell(own.name) };
    const isSame = plain.schema === name.schema && plain.name === name.name;
    return named.get(nameKey(own)) ?? (isSame ? name : plain);
  };
  assertApart(selected, table, { named, followed });
  const excluded = excludedColumns(selected, excludeColumns);
  const known = new Set(selected.map(nameKey));
  const columns = columnNames(selected, renamings, spell);
  return {
    ...tableChanges(selected, changed, (of, column) => excluded.get(nameKey(of))?.has(column) === true),
    schema,
    table,
    // The row type of a table is called as the table is; other types keep their names.
    isType: (source, target) =>
      isSameType(source, target, (name) =>
        known.has(nameKey(name)) ? table(name) : { schema: schema(name.schema), name: name.name },
      ),
    column: (of, column) =>
      excluded.get(nameKey(of))?.has(column) === true
        ? null
        : (columns.get(nameKey(of))?.get(column) ?? spell(column)),
    changesNames: renamings.length > 0 || capitalization !== 'source' || excluded.size > 0,
  };
}

/** `schema.name`, and what stands behind it: `(12)`, `[]`. */
const QUALIFIED = /^((?:"(?:[^"]|"")+"|[^".()]+)\.(?:"(?:[^"]|"")+"|[^".()[]+))(.*)$/s;

function partsOfType(text: string): { readonly name: QualifiedName; readonly rest: string } | null {
  const [, qualified, rest = ''] = QUALIFIED.exec(text) ?? [];
  const [schema, name] = qualified === undefined ? [] : parseNames(qualified);
  return schema === undefined || name === undefined ? null : { name: { schema, name }, rest };
}

function isSameType(source: string, target: string, on: (name: QualifiedName) => QualifiedName): boolean {
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

function schemaNames(selected: readonly Selectable[], renamings: readonly Renaming[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const one of renamings) {
    if (one.kind !== 'schema') continue;
    fitting(one.to);
    if (!selected.some(({ schema }) => schema === one.from))
      throw new AppError('NOTHING_SELECTED', { pattern: `"${one.from}.*" (to be renamed)` });
    names.set(one.from, one.to);
  }
  return names;
}

/** By nameKey: of the tables that were named. */
function tableNames(
  selected: readonly Selectable[],
  renamings: readonly Renaming[],
): Map<string, QualifiedName> {
  const renamed = new Map<string, QualifiedName>();
  for (const one of renamings) {
    if (one.kind !== 'table') continue;
    fitting(one.to.schema);
    fitting(one.to.name);
    renamed.set(nameKey(findTable(selected, one.from, 'to be renamed')), one.to);
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

/** By nameKey of the table: the columns that were named. */
function columnNames(
  selected: readonly NamedTable[],
  renamings: readonly Renaming[],
  spell: (name: string) => string,
): Map<string, Map<string, string>> {
  const named = new Map<string, Map<string, string>>();
  const ofTable = (table: QualifiedName) => {
    const names = named.get(nameKey(table)) ?? new Map<string, string>();
    named.set(nameKey(table), names);
    return names;
  };
  for (const one of renamings) {
    if (one.kind !== 'column') continue;
    const table = findTable(selected, one.from, 'to be renamed');
    if (!table.columns.some(({ name }) => name === one.column))
      throw new AppError('NOTHING_SELECTED', { pattern: `column "${one.column}" of ${displayName(table)}` });
    for (const each of [table, ...selected.filter(({ rootOid }) => rootOid === table.oid)])
      ofTable(each).set(one.column, fitting(one.to));
  }
  for (const table of selected) assertColumnsApart(table, named.get(nameKey(table)), spell);
  return named;
}

/** By nameKey of the table. A column of a partitioned table is left out of its partitions too. */
function excludedColumns(
  selected: readonly NamedTable[],
  patterns: readonly string[],
): Map<string, Set<string>> {
  const excluded = new Map<string, Set<string>>();
  for (const pattern of patterns) {
    const isNamed = columnMatcher(pattern);
    const byOid = new Map(selected.map((table) => [table.oid, table]));
    let isUsed = false;
    for (const table of selected) {
      const root = byOid.get(table.rootOid ?? table.oid) ?? table;
      for (const { name } of table.columns) {
        if (!isNamed(root, name)) continue;
        assertNoKey(table, name);
        isUsed = true;
        excluded.set(nameKey(table), (excluded.get(nameKey(table)) ?? new Set()).add(name));
      }
    }
    if (!isUsed) throw new AppError('NOTHING_SELECTED', { pattern: `column "${pattern}" (to be left out)` });
  }
  return excluded;
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

/** The one place that turns a source name into a destination name. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import type { PartitionMode } from '../../contract/task-spec.ts';
import { displayName, nameKey, type QualifiedName } from '../change/relation.ts';
import { parseName, type Selectable } from './selection.ts';

/**
 * `rename`: `schema.table` (or `table`, where one schema only has it) of the source → `schema.table` of the target; names as in a table
 * pattern, without wildcards. The partitions of a partitioned table that is renamed, or becomes a plain one, go there with it, but for
 * those named themselves and for those that stand `apart` (by oid). Several tables may go into one where each of them is named. Throws
 * NOTHING_SELECTED for a name that is not selected, USAGE for two tables with one target otherwise.
 */
export function targetNames<T extends Selectable>(
  selected: readonly T[],
  rename: Readonly<Record<string, string>>,
  partitions: PartitionMode = 'keep',
  apart: { has(oid: number): boolean } = new Set(),
): (table: QualifiedName) => QualifiedName {
  const renamed = new Map<string, QualifiedName>();
  for (const [from, to] of Object.entries(rename)) {
    const wanted = parseName(from);
    const found = selected.filter(
      ({ schema, name }) => name === wanted.name && (wanted.schema === null || schema === wanted.schema),
    );
    const [table] = found;
    if (!table) throw new AppError('NOTHING_SELECTED', { pattern: `"${from}" (to be renamed)` });
    const target = parseName(to);
    if (found.length > 1 || target.schema === null)
      throw new AppError('USAGE', {
        problem: `"${found.length > 1 ? from : to}" does not say which schema.`,
        remedy: 'Write schema.table on both sides of a renaming.',
      });
    renamed.set(nameKey(table), { schema: target.schema, name: target.name });
  }
  const named = new Set(renamed.keys());
  const byOid = new Map(selected.map((table) => [table.oid, table]));
  const rootOf = (table: T) => (apart.has(table.oid) ? undefined : byOid.get(table.rootOid ?? -1));
  for (const table of selected) {
    const root = rootOf(table);
    const target = root && (renamed.get(nameKey(root)) ?? (partitions === 'plain' ? root : undefined));
    if (target && !renamed.has(nameKey(table)))
      renamed.set(nameKey(table), { schema: target.schema, name: target.name });
  }
  const targetOf = (table: QualifiedName) => renamed.get(nameKey(table)) ?? table;
  // A partition goes where its table goes: what is asked of the one holds for the other.
  const ownerOf = (table: T) => (named.has(nameKey(table)) ? table : (rootOf(table) ?? table));
  for (const group of byTarget(selected, targetOf).values()) {
    const owners = new Set(group.map((table) => nameKey(ownerOf(table))));
    const [first] = group;
    if (first && owners.size > 1 && [...owners].some((owner) => !named.has(owner)))
      throw unnamedMerge(group, targetOf(first));
  }
  return targetOf;
}

/** By nameKey of the target: the source tables that go into it. */
export function byTarget<T extends QualifiedName>(
  tables: readonly T[],
  targetOf: (table: QualifiedName) => QualifiedName,
): ReadonlyMap<string, readonly T[]> {
  return Map.groupBy(tables, (table) => nameKey(targetOf(table)));
}

/** Target tables, by nameKey, that several of the tables go into. */
export function sharedTargets(
  tables: readonly QualifiedName[],
  targetOf: (table: QualifiedName) => QualifiedName,
): ReadonlySet<string> {
  const groups = [...byTarget(tables, targetOf)];
  return new Set(groups.flatMap(([target, group]) => (group.length > 1 ? [target] : [])));
}

/** A misspelt name must not put two tables together in silence. */
function unnamedMerge(tables: readonly QualifiedName[], target: QualifiedName): AppError {
  return new AppError('USAGE', {
    problem: `${tables.map(displayName).join(' and ')} would go into one table, ${displayName(target)}.`,
    remedy:
      'Give each table a target of its own, or name each of them with --rename if they are to go together.',
  });
}

/** Which columns the source's tables have had since the task took them in, and of which types: by that a change is noticed, in whichever run. */
import { nameKey } from '../../engine/change/relation.ts';
import type { TableInfo } from '../../engine/pg/catalog/tables/tables.ts';
import {
  writeKnownColumns,
  type KnownColumns,
  type TaskTable,
} from '../../engine/target/books/task-tables.ts';
import type { TargetNames } from '../../engine/selection/target-names.ts';
import type { TaskRun } from './task-run.ts';

/** What is known of partitions whose rows go into one plain table. */
export interface KnownParts {
  /** Those that stand apart, by oid. */
  readonly apart: { has(oid: number): boolean };
  /** The rows that they hold, by oid. */
  readonly bounds: ReadonlyMap<number, string>;
}

/** The tables as the task begins with them. `targets`: those that the user made, by nameKey. */
export function newTaskTables(
  source: readonly TableInfo[],
  targets: ReadonlyMap<string, TableInfo>,
  mapping: TargetNames,
  { apart, bounds }: KnownParts,
): TaskTable[] {
  return source.map((table) => {
    const there = targets.get(nameKey(mapping.table(table)))?.columns.map(({ name }) => name);
    const columns = table.columns.map(({ name, typeOid, typmod, type, attnum }) => {
      const into = mapping.column(table, name);
      const isThere = into !== null && (there === undefined || there.includes(into));
      return [name, { forms: isThere ? [{ typeOid, typmod, type }] : [], isLater: false, attnum }] as const;
    });
    const part = { isApart: apart.has(table.oid), bound: bounds.get(table.oid) ?? null };
    return { ...table, ...part, columns: new Map(columns) };
  });
}

/** Its oid, and the columns that its target was made without. */
export function leftOutOf({
  oid,
  columns,
}: Pick<TaskTable, 'oid' | 'columns'>): [number, ReadonlySet<string>] {
  const names = [...columns].flatMap(([name, { forms }]) => (forms.length === 0 ? [name] : []));
  return [oid, names.length === 0 ? NONE_LEFT_OUT : new Set(names)];
}

/** Of most tables: one for all of them. */
export const NONE_LEFT_OUT: ReadonlySet<string> = new Set();

/** A followed table and its target. */
export interface TablePair {
  readonly source: TableInfo;
  readonly target: TableInfo;
}

/**
 * By nameKey of the source table. A type that both ends have now is learned: whoever changed it on the source has done so on the target
 * too.
 */
export async function learnColumns(
  run: TaskRun,
  tables: readonly TaskTable[],
  pairs: readonly TablePair[],
): Promise<ReadonlyMap<string, KnownColumns>> {
  const recorded = new Map(tables.map((one) => [nameKey(one), one]));
  const learned: TaskTable[] = [];
  for (const pair of pairs) {
    const before = recorded.get(nameKey(pair.source));
    const columns = before && withTypesOfBoth(before.columns, pair, run.mapping);
    if (before && columns) learned.push({ ...before, columns });
  }
  if (learned.length > 0) await writeKnownColumns(await run.ends.target(), run.taskId, learned);
  for (const one of learned) recorded.set(nameKey(one), one);
  return new Map([...recorded].map(([key, { columns }]) => [key, columns]));
}

/** Null when there is nothing new. */
function withTypesOfBoth(
  known: KnownColumns,
  { source, target }: TablePair,
  mapping: TargetNames,
): KnownColumns | null {
  const there = new Map(target.columns.map(({ name, type }) => [name, type]));
  const columns = new Map(known);
  for (const { name, typeOid, typmod, type, attnum } of source.columns) {
    const { forms, isLater, ...before } = known.get(name) ?? { forms: [], isLater: true, attnum };
    const isKnown = forms.some((form) => form.typeOid === typeOid && form.typmod === typmod);
    const into = there.get(mapping.column(source, name) ?? '');
    if (!isKnown && into !== undefined && mapping.isType(type, into))
      columns.set(name, { ...before, forms: [...forms, { typeOid, typmod, type }], isLater });
  }
  return [...columns].some(([name, column]) => column !== known.get(name)) ? columns : null;
}

/** What the task and its rules want of each table: which changes are followed, and which rows. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import type { Operation, TableRule } from '../../contract/task-spec.ts';
import { nameKey, type QualifiedName } from '../change/relation.ts';
import { matcher, type Selectable } from './selection.ts';

export interface TableWish {
  readonly operations: ReadonlySet<Operation>;
  /** SQL as the user wrote it, to be checked by the source; null: all rows. */
  readonly filter: string | null;
}

export type WishOf = (table: QualifiedName) => TableWish;

/**
 * A later rule wins over an earlier one, field by field; partitions follow the partitioned table at their top. Throws NOTHING_SELECTED
 * naming the rule that matches no selected table.
 */
export function tableWishes(
  selected: readonly Selectable[],
  { operations, rules }: { readonly operations: readonly Operation[]; readonly rules: readonly TableRule[] },
): WishOf {
  const patterns = rules.map((rule) => ({ rule, isNamed: matcher(rule.tables) }));
  const roots = selected.filter((table) => table.rootOid === null);
  for (const { rule, isNamed } of patterns) {
    if (!roots.some((table) => isNamed(table)))
      throw new AppError('NOTHING_SELECTED', { pattern: `"${rule.tables}" (of a rule)` });
  }
  const general: TableWish = { operations: new Set(operations), filter: null };
  if (patterns.length === 0) return () => general;
  const byOid = new Map(
    roots.map((table) => {
      let wish = general;
      for (const { rule, isNamed } of patterns) if (isNamed(table)) wish = overruled(wish, rule);
      return [table.oid, wish];
    }),
  );
  const byName = new Map(
    selected.map((table) => [nameKey(table), byOid.get(table.rootOid ?? table.oid) ?? general]),
  );
  return (table) => byName.get(nameKey(table)) ?? general;
}

function overruled(wish: TableWish, { operations, filter }: TableRule): TableWish {
  return {
    operations: operations === undefined ? wish.operations : new Set(operations),
    filter: filter === undefined ? wish.filter : /^\s*true\s*$/i.test(filter) ? null : filter,
  };
}

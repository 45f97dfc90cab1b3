/**
 * Target tables that do not hold exactly what the source's table held: not all its operations are followed (lenient), or rows of their own
 * give way to the source's (overwriting, C7). Pure.
 */
import { isSame, UNCHANGED, type Cell, type RowChange, type Tuple } from '../../../change/change.ts';
import { cellOf, PackedUpdate, type Row } from '../../../change/packed-row.ts';
import { deleteOne, insertMissing, type Planned } from '../sql/apply-sql.ts';
import type { KeyColumn, TargetTable } from '../sql/target-table.ts';

export function movesKey(key: readonly KeyColumn[], old: Row | null, row: Row): boolean {
  if (old === null) return false;
  return key.some(({ at }) => {
    const cell = cellOf(row, at);
    return cell !== UNCHANGED && !isSame(cell, cellOf(old, at));
  });
}

/** The source has one row of the new key, so another one that the target still has is gone there, or gives way. */
export function rowInTheWay(table: TargetTable, change: RowChange): Planned | null {
  if (!table.key || change.kind === 'delete') return null;
  const old = change.kind === 'insert' ? null : change.old;
  if (change.kind === 'update' && !movesKey(table.key, old, change.new)) return null;
  return deleteOne(
    table,
    change.new.map((cell, at): Cell => (cell === UNCHANGED ? (old?.[at] ?? null) : cell)),
  );
}

/** Values that did not change are those of the source's row, which the target's need not be. */
export function wholeChange(table: TargetTable, change: RowChange): RowChange {
  // In a packed row no value is missing.
  if (change.kind !== 'update' || change instanceof PackedUpdate) return change;
  if (table.relation.replicaIdentity !== 'full') return change;
  const { old } = change;
  if (old === null || !change.new.includes(UNCHANGED)) return change;
  return {
    ...change,
    new: change.new.map((cell, at): Cell => (cell === UNCHANGED ? (old[at] ?? null) : cell)),
  };
}

/** Where the UPDATE before has found nothing: the new row, if all of it is known. */
export function putIn(table: TargetTable, row: Tuple): Planned[] {
  return row.includes(UNCHANGED) || !table.key ? [] : [insertMissing(table, table.key, row)];
}

/**
 * Which tables may have parts of different moments. Ranges of a key may (data-plane I3), unless another key could hold two of their rows
 * apart: a value that moved from a row of one range to a row of another would stand in both, and no unique index bears that. Then the
 * whole table must be of one moment, as one that is cut by place.
 */
import { nameKey } from '../../../engine/change/relation.ts';
import { readUniqueColumns } from '../../../engine/pg/catalog/constraints/unique-columns.ts';
import type { TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import type { TaskRun } from '../task-run.ts';

/** Whether every unique key of the table, on both ends, has this column in it. */
export type IsInEveryKey = (table: TableInfo, column: string) => boolean;

export async function readKeysOfBothEnds(run: TaskRun): Promise<IsInEveryKey> {
  const here = await readUniqueColumns(await run.ends.source());
  const there = await readUniqueColumns(await run.ends.target());
  return (table, column) => {
    const into = run.mapping.column(table, column);
    return (
      (here.get(nameKey(table)) ?? []).every((columns) => columns.includes(column)) &&
      (there.get(nameKey(run.targetOf(table))) ?? []).every(
        (columns) => into !== null && columns.includes(into),
      )
    );
  };
}

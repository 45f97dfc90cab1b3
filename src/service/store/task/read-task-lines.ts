/** The small rows of all tasks of some groups, or of those that have changed. */
import type { Db } from '../store.ts';
import { TASK_LINE_COLUMNS, TASK_LINE_TABLES, taskLineRow, type TaskLine } from './task-line-row.ts';

export interface Changed {
  /** Within so many seconds, */
  readonly seconds: number;
  /** and these in any case. */
  readonly ids: readonly string[];
}

/** Null: all of them. */
export async function readTaskLines(
  db: Db,
  groupIds: readonly string[],
  changed: Changed | null,
): Promise<TaskLine[]> {
  const { seconds, ids } = changed ?? { seconds: null, ids: [] };
  return db.query(
    taskLineRow,
    `SELECT ${TASK_LINE_COLUMNS} FROM ${TASK_LINE_TABLES}
      WHERE t.group_id = ANY ($1::uuid[])
        AND ($2::float8 IS NULL OR t.id = ANY ($3::uuid[])
             OR t.updated_at > now() - pg_catalog.make_interval(secs => $2::float8)
             OR p.at > now() - pg_catalog.make_interval(secs => $2::float8))
      ORDER BY t.created_at, t.id`,
    [uuids(groupIds), seconds === null ? null : String(seconds), uuids(ids)],
  );
}

function uuids(ids: readonly string[]): string {
  return `{${ids.join(',')}}`;
}

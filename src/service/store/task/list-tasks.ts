/** The tasks of a group, the newest first, page by page: small rows. */
import type { TaskState } from '../../../contract/api/task-states.ts';
import type { Page } from '../page.ts';
import type { Db } from '../store.ts';
import { TASK_LINE_COLUMNS, TASK_LINE_TABLES, taskLineRow, type TaskLine } from './task-line-row.ts';

export interface WantedTasks extends Page {
  readonly groupId: string;
  readonly state: TaskState | null;
  readonly taskGroup: string | null;
  /** Part of a name. */
  readonly name: string | null;
}

/** The place of a row is its time and id: a cursor stays right while tasks come and go. */
export async function listTasks(
  db: Db,
  { groupId, state, taskGroup, name, after, limit }: WantedTasks,
): Promise<TaskLine[]> {
  return db.query(
    taskLineRow,
    `SELECT ${TASK_LINE_COLUMNS} FROM ${TASK_LINE_TABLES}
      WHERE t.group_id = $1 AND ($2::text IS NULL OR t.state = $2) AND ($3::text IS NULL OR t.task_group = $3)
        AND ($4::text IS NULL OR pg_catalog.strpos(pg_catalog.lower(t.name), pg_catalog.lower($4)) > 0)
        AND ($5::text IS NULL
             OR (t.created_at, t.id) < (pg_catalog.left($5, -37)::timestamptz, pg_catalog.right($5, 36)::uuid))
      ORDER BY t.created_at DESC, t.id DESC LIMIT $6`,
    [groupId, state, taskGroup, name, after, String(limit)],
  );
}

/** The tasks of a task group, the oldest first, locked: what one is asked, all are. */
import type { Db } from '../store.ts';
import { TASK_COLUMNS, taskRow, type StoredTask } from './task-row.ts';

export async function lockTaskGroup(db: Db, groupId: string, taskGroup: string): Promise<StoredTask[]> {
  return db.query(
    taskRow,
    `SELECT ${TASK_COLUMNS} FROM opendts.task t WHERE t.group_id = $1 AND t.task_group = $2
      ORDER BY t.created_at, t.id FOR UPDATE OF t`,
    [groupId, taskGroup],
  );
}

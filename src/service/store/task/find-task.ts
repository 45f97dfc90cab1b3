/** A task by its id, of whatever group: for those who run it. */
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import { TASK_COLUMNS, taskRow, type StoredTask } from './task-row.ts';

export async function findTask(db: Db, id: string): Promise<StoredTask | null> {
  return only(await db.query(taskRow, `SELECT ${TASK_COLUMNS} FROM opendts.task t WHERE t.id = $1`, [id]));
}

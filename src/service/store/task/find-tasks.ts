/** Tasks by their ids, as they are now: for those who run them. */
import type { Db } from '../store.ts';
import { TASK_COLUMNS, taskRow, type StoredTask } from './task-row.ts';

export async function findTasks(db: Db, ids: readonly string[]): Promise<StoredTask[]> {
  return db.query(
    taskRow,
    `SELECT ${TASK_COLUMNS} FROM opendts.task t
      WHERE t.id IN (SELECT one::uuid FROM pg_catalog.jsonb_array_elements_text($1::jsonb) one)`,
    [JSON.stringify(ids)],
  );
}

/** A task loses its settings, and what it knows of its run; its name and its timeline stay. */
import type { TaskSettings } from '../../../contract/task-spec.ts';
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import { TASK_COLUMNS, taskRow, type StoredTask } from './task-row.ts';

export async function clearTask(db: Db, id: string, spec: TaskSettings): Promise<StoredTask | null> {
  const rows = await db.query(
    taskRow,
    `WITH progress AS (DELETE FROM opendts.task_progress WHERE task_id = $1),
     tables AS (DELETE FROM opendts.task_table WHERE task_id = $1),
     precheck AS (DELETE FROM opendts.task_precheck WHERE task_id = $1),
     wishes AS (DELETE FROM opendts.task_table_wish WHERE task_id = $1)
     UPDATE opendts.task t
        SET source_connection = NULL, target_connection = NULL, spec = $2::jsonb, engine_task_id = NULL,
            stopped_by = NULL, failure = NULL, failed_since = NULL, attempts = 0, next_attempt_at = NULL,
            adjustments = '{}', halt_mark = NULL, blackout = '[]', started_at = NULL, ended_at = NULL
      WHERE t.id = $1 RETURNING ${TASK_COLUMNS}`,
    [id, JSON.stringify(spec)],
  );
  return only(rows);
}

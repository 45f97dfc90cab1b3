/**
 * A worker becomes the owner of a task: it raises the fence, which the former owner does not get past. It is made of the time: in a store
 * that was restored from an older day no fence comes twice, and none is below one that was given since.
 */
import { only } from '../../columns.ts';
import type { Db } from '../../store.ts';
import { TASK_CHANNEL, TASK_COLUMNS, taskRow, type StoredTask } from '../task-row.ts';

/** A worker that has not been seen for so long has nothing any more. */
export const GONE = "interval '10 seconds'";

/** With the fence that it now has; null when there is no such task, or another worker has it and lives: a job may be an old one. */
export async function takeTask(db: Db, id: string, workerId: string): Promise<StoredTask | null> {
  const rows = await db.query(
    taskRow,
    `WITH taken AS (
       UPDATE opendts.task t
          SET fence = greatest(t.fence + 1, (pg_catalog.date_part('epoch', clock_timestamp()) * 1e6)::bigint),
              worker_id = $2, version = t.version + 1, updated_at = clock_timestamp()
        WHERE t.id = $1 AND NOT EXISTS (
          SELECT FROM opendts.worker w WHERE w.id = t.worker_id AND w.id <> $2 AND w.seen_at >= now() - ${GONE}
        ) RETURNING ${TASK_COLUMNS}
     ), noted AS (
       INSERT INTO opendts.task_event (task_id, kind, worker_id, facts)
       SELECT k.id, 'taken', k.worker_id, pg_catalog.jsonb_build_object('fence', k.fence) FROM taken k
     )
     SELECT k.*, pg_catalog.pg_notify('${TASK_CHANNEL}', k.id::text) FROM taken k`,
    [id, workerId],
  );
  return only(rows);
}

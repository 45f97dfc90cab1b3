/** The owner of a task notes on its timeline what happened; nothing, and false, where somebody else has the task by now. */
import { z } from 'zod';
import type { Db } from '../../store.ts';
import { TASK_CHANNEL } from '../task-row.ts';

export interface Note {
  readonly taskId: string;
  readonly fence: string;
  readonly kind: string;
  /** Never values of rows, never secrets. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export async function noteEvent(db: Db, { taskId, fence, kind, facts }: Note): Promise<boolean> {
  const noted = await db.query(
    z.unknown(),
    `WITH noted AS (
       INSERT INTO opendts.task_event (task_id, kind, worker_id, facts)
       SELECT t.id, $3, t.worker_id, $4::jsonb FROM opendts.task t WHERE t.id = $1 AND t.fence = $2::bigint
       RETURNING task_id
     )
     SELECT pg_catalog.pg_notify('${TASK_CHANNEL}', n.task_id::text) FROM noted n`,
    [taskId, fence, kind, JSON.stringify(facts)],
  );
  return noted.length > 0;
}

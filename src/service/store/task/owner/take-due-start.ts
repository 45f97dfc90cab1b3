/** A task that is to be started by now, which is not to be started again then; of those that look at once each gets another. */
import { z } from 'zod';
import { only, time } from '../../columns.ts';
import type { Db } from '../../store.ts';

const row = z.object({ id: z.string(), start_at: time });

/** Null: there is none. */
export async function takeDueStart(db: Db): Promise<{ readonly id: string; readonly at: string } | null> {
  const rows = await db.query(
    row,
    `WITH due AS (
       SELECT d.id, d.start_at FROM opendts.task d WHERE d.start_at <= now()
        ORDER BY d.start_at LIMIT 1 FOR UPDATE SKIP LOCKED
     )
     UPDATE opendts.task t SET start_at = NULL FROM due WHERE t.id = due.id RETURNING due.id, due.start_at`,
  );
  const due = only(rows);
  return due && { id: due.id, at: due.start_at };
}

/** One minute of a task: how far behind it was, and what had been done by then. */
import { z } from 'zod';
import type { Db } from '../../store.ts';

export interface Minute {
  readonly taskId: string;
  readonly fence: string;
  readonly delayMs: number | null;
  readonly lagBytes: bigint | null;
  readonly rowsCopied: bigint;
  readonly bytesCopied: bigint;
  readonly changesApplied: bigint;
}

/** Of the present minute; nothing where somebody else has the task by now. */
export async function writeSeries(db: Db, minute: Minute): Promise<void> {
  await db.query(
    z.unknown(),
    `INSERT INTO opendts.task_series (task_id, at, delay_ms, lag_bytes, rows_copied, bytes_copied, changes_applied)
     SELECT t.id, date_trunc('minute', clock_timestamp()), $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint
       FROM opendts.task t WHERE t.id = $1 AND t.fence = $2::bigint
     ON CONFLICT (task_id, at)
     DO UPDATE SET delay_ms = EXCLUDED.delay_ms, lag_bytes = EXCLUDED.lag_bytes, rows_copied = EXCLUDED.rows_copied,
                   bytes_copied = EXCLUDED.bytes_copied, changes_applied = EXCLUDED.changes_applied`,
    [
      minute.taskId,
      minute.fence,
      minute.delayMs === null ? null : String(Math.round(minute.delayMs)),
      minute.lagBytes === null ? null : String(minute.lagBytes),
      String(minute.rowsCopied),
      String(minute.bytesCopied),
      String(minute.changesApplied),
    ],
  );
}

/** A task over time, the oldest first. */
import { z } from 'zod';
import { time } from '../../columns.ts';
import type { Db } from '../../store.ts';

const point = z
  .object({
    at: time,
    delay_ms: z.string().nullable(),
    lag_bytes: z.string().nullable(),
    rows_copied: z.string(),
    bytes_copied: z.string(),
    changes_applied: z.string(),
  })
  .transform((row) => ({
    at: row.at,
    delayMs: row.delay_ms === null ? null : Number(row.delay_ms),
    lagBytes: row.lag_bytes,
    rowsCopied: row.rows_copied,
    bytesCopied: row.bytes_copied,
    changesApplied: row.changes_applied,
  }));
export type SeriesPoint = z.infer<typeof point>;

export interface Span {
  readonly from: string;
  readonly to: string;
  /** The last minute of each so many is given. */
  readonly everyMinutes: number;
}

export async function listSeries(
  db: Db,
  taskId: string,
  { from, to, everyMinutes }: Span,
): Promise<SeriesPoint[]> {
  return db.query(
    point,
    `SELECT DISTINCT ON (pg_catalog.floor(extract(epoch FROM s.at) / (60 * $4::integer)))
            s.at, s.delay_ms, s.lag_bytes, s.rows_copied, s.bytes_copied, s.changes_applied
       FROM opendts.task_series s
      WHERE s.task_id = $1 AND s.at >= $2::timestamptz AND s.at <= $3::timestamptz
      ORDER BY pg_catalog.floor(extract(epoch FROM s.at) / (60 * $4::integer)), s.at DESC`,
    [taskId, from, to, String(everyMinutes)],
  );
}

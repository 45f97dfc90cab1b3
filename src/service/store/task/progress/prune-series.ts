/** What is older than 30 days goes. */
import { z } from 'zod';
import { int } from '../../columns.ts';
import type { Db } from '../../store.ts';

/** At most so many at once: a statement may not take long. Gives how many. */
export async function pruneSeries(db: Db, limit: number): Promise<number> {
  const [row] = await db.query(
    z.object({ rows: int }),
    `WITH old AS (SELECT s.task_id, s.at FROM opendts.task_series s WHERE s.at < now() - interval '30 days' LIMIT $1),
       gone AS (DELETE FROM opendts.task_series s USING old o WHERE s.task_id = o.task_id AND s.at = o.at RETURNING 1)
     SELECT count(*) AS rows FROM gone`,
    [String(limit)],
  );
  return row?.rows ?? 0;
}

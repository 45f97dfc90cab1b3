/** Workers that could lend hands to a task. */
import { z } from 'zod';
import { int } from '../columns.ts';
import type { Db } from '../store.ts';

/** Those of its cluster that live and are not drained, without the one that runs it. */
export async function countOthers(db: Db, taskId: string): Promise<number> {
  const [row] = await db.query(
    z.object({ others: int }),
    `SELECT count(*) AS others FROM opendts.worker w JOIN opendts.task t ON t.id = $1
      WHERE w.cluster IS NOT DISTINCT FROM t.cluster AND w.id IS DISTINCT FROM t.worker_id AND NOT w.draining
        AND w.seen_at > now() - interval '30 s'`,
    [taskId],
  );
  return row?.others ?? 0;
}

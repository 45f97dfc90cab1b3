/** How many of a cluster's tasks a worker should have, by what it can take among those that live. */
import { z } from 'zod';
import { int, only } from '../columns.ts';
import type { Db } from '../store.ts';

/** Owned by workers that live, and workers that take tasks, as they were seen some seconds ago. */
const FRESH = "interval '10 seconds'";

/** `waiting`: tasks that nobody has. */
export async function fairShare(
  db: Db,
  { workerId, cluster, waiting }: { workerId: string; cluster: string | null; waiting: number },
): Promise<number> {
  const rows = await db.query(
    z.object({ share: int }),
    `WITH alive AS (
       SELECT w.id, w.capacity FROM opendts.worker w
        WHERE w.cluster IS NOT DISTINCT FROM $2 AND NOT w.draining AND w.seen_at > now() - ${FRESH}
     ), owned AS (
       SELECT count(*) AS tasks FROM opendts.task t WHERE t.worker_id IN (SELECT id FROM alive)
     )
     SELECT pg_catalog.ceil((o.tasks + $3::int) * m.capacity::numeric / (SELECT sum(capacity) FROM alive))::int AS share
       FROM owned o, alive m WHERE m.id = $1`,
    [workerId, cluster, String(waiting)],
  );
  return only(rows)?.share ?? 0;
}

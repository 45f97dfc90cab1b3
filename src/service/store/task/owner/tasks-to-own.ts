/** Tasks that somebody must have and nobody has. */
import { z } from 'zod';
import type { Db } from '../../store.ts';
import { GONE } from './take-task.ts';

export interface Wanted {
  /** Only tasks of this cluster; null: of none. */
  readonly cluster: string | null;
  /** States in which a task needs an owner, as `state/desired`. */
  readonly needing: readonly string[];
}

/** Their ids. One that is tried again later is not among them before its time, nor one that failed and only a person brings back. */
export async function tasksToOwn(db: Db, { cluster, needing }: Wanted): Promise<string[]> {
  const rows = await db.query(
    z.object({ id: z.string() }),
    `SELECT t.id FROM opendts.task t LEFT JOIN opendts.worker w ON w.id = t.worker_id
      WHERE t.cluster IS NOT DISTINCT FROM $1
        AND (w.id IS NULL OR w.seen_at < now() - ${GONE})
        AND (t.state || '/' || t.desired IN (SELECT pg_catalog.jsonb_array_elements_text($2::jsonb))
             OR (t.state = 'failed' AND t.stopped_by = 'failure' AND t.next_attempt_at IS NOT NULL))
        AND (t.state NOT IN ('retrying', 'failed') OR t.next_attempt_at IS NULL OR t.next_attempt_at <= now())
      ORDER BY t.updated_at`,
    [cluster, JSON.stringify(needing)],
  );
  return rows.map(({ id }) => id);
}

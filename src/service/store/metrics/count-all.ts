/** What there is in the store, counted: tasks by state, workers, hands lent; how far the audit log is written out. */
import { z } from 'zod';
import type { TaskState } from '../../../contract/api/task-states.ts';
import { json } from '../columns.ts';
import type { Db } from '../store.ts';

const countsRow = z.object({
  tasks: json(z.record(z.string(), z.number())),
  workers: json(z.record(z.string(), z.number())),
  places: z.string().transform(Number),
  owned: z.string().transform(Number),
  waiting: z.string().transform(Number),
  hands: json(z.record(z.string(), z.number())),
  unsent_age: z.string().transform(Number),
});
export type Counts = z.infer<typeof countsRow>;

export interface CountOptions {
  /** A worker that was not seen for so long is lost. */
  readonly lostAfterSeconds: number;
  /** In these a task needs a worker. */
  readonly busy: readonly TaskState[];
}

export async function countAll(db: Db, { lostAfterSeconds, busy }: CountOptions): Promise<Counts> {
  const [counts] = await db.query(
    countsRow,
    `WITH workers AS (
       SELECT w.id, CASE WHEN w.seen_at < now() - pg_catalog.make_interval(secs => $1) THEN 'lost'
                   WHEN w.draining THEN 'draining' ELSE 'active' END AS state, w.capacity
         FROM opendts.worker w)
     SELECT (SELECT COALESCE(pg_catalog.jsonb_object_agg(s.state, s.count), '{}')
               FROM (SELECT t.state, count(*) FROM opendts.task t GROUP BY t.state) s) AS tasks,
            (SELECT COALESCE(pg_catalog.jsonb_object_agg(s.state, s.count), '{}')
               FROM (SELECT w.state, count(*) FROM workers w GROUP BY w.state) s) AS workers,
            (SELECT COALESCE(sum(w.capacity), 0) FROM workers w WHERE w.state = 'active') AS places,
            (SELECT count(*) FROM opendts.task t WHERE t.worker_id IS NOT NULL) AS owned,
            (SELECT count(*) FROM opendts.task t
              WHERE t.state = ANY ($2::text[])
                AND NOT EXISTS (SELECT FROM workers w WHERE w.id = t.worker_id AND w.state <> 'lost')) AS waiting,
            (SELECT COALESCE(pg_catalog.jsonb_object_agg(s.state, s.count), '{}')
               FROM (SELECT h.state, count(*) FROM opendts.copy_hand h GROUP BY h.state) s) AS hands,
            COALESCE((SELECT extract(epoch FROM clock_timestamp() - e.at)
                       FROM opendts.audit_unsent u JOIN opendts.audit e ON e.id = u.audit_id
                      ORDER BY u.audit_id LIMIT 1), 0) AS unsent_age`,
    [String(lostAfterSeconds), `{${busy.join(',')}}`],
  );
  if (!counts) throw new Error('a statement without FROM gives one row');
  return counts;
}

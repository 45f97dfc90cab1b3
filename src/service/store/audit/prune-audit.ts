/** Deletes old entries of the audit log, and writes into it that it was done. */
import { z } from 'zod';
import { int, only } from '../columns.ts';
import type { Db } from '../store.ts';

/**
 * At most so many at once, the oldest first: a statement may not take long. Gives how many; 0 where none are so old, of which nothing is
 * written. The store refuses fewer than 400 days.
 */
export async function pruneAudit(db: Db, days: number, limit: number): Promise<number> {
  const rows = await db.query(
    z.object({ entries: int }),
    `WITH wanted AS (SELECT now() - pg_catalog.make_interval(days => $1) AS before),
       old AS (SELECT e.id FROM opendts.audit e, wanted w WHERE e.at < w.before ORDER BY e.at LIMIT $2),
       gone AS (DELETE FROM opendts.audit e USING old o WHERE e.id = o.id RETURNING e.id),
       counted AS (SELECT count(*) AS entries FROM gone)
     INSERT INTO opendts.audit (via, address, request_id, operation, outcome, after)
     SELECT 'service', '', '', 'audit.prune', 'done', pg_catalog.jsonb_build_object('before', w.before, 'entries', c.entries)
       FROM wanted w, counted c WHERE c.entries > 0
     RETURNING after ->> 'entries' AS entries`,
    [String(days), String(limit)],
  );
  return only(rows)?.entries ?? 0;
}

/** Deletes old entries of the audit log, and writes into it that it was done. */
import { z } from 'zod';
import { only } from '../columns.ts';
import type { Db } from '../store.ts';

/** Gives how many; 0 where none are so old, of which nothing is written. The store refuses fewer than 400 days. */
export async function pruneAudit(db: Db, days: number): Promise<string> {
  const rows = await db.query(
    z.object({ entries: z.string() }),
    `WITH wanted AS (SELECT now() - pg_catalog.make_interval(days => $1) AS before),
       gone AS (DELETE FROM opendts.audit e USING wanted w WHERE e.at < w.before RETURNING e.id),
       counted AS (SELECT count(*) AS entries FROM gone)
     INSERT INTO opendts.audit (via, address, request_id, operation, outcome, after)
     SELECT 'service', '', '', 'audit.prune', 'done', pg_catalog.jsonb_build_object('before', w.before, 'entries', c.entries)
       FROM wanted w, counted c WHERE c.entries > 0
     RETURNING after ->> 'entries' AS entries`,
    [String(days)],
  );
  return only(rows)?.entries ?? '0';
}

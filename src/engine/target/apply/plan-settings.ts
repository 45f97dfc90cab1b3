/**
 * How the applier's statements are planned: each row of a set is looked up in the key's index. Left to itself the planner reads the whole
 * table into a hash for every window while it knows how many rows come, and keeps a plan made while the table was empty.
 */
import type { Session } from '../../pg/session.ts';

/** For the session. On the Greenplum family, which joins its own way, nothing is set. */
export async function planForKeys(session: Session): Promise<void> {
  await session.query(
    `SELECT pg_catalog.set_config(s.name, CASE s.name WHEN 'plan_cache_mode' THEN 'force_generic_plan' ELSE 'off' END, false)
       FROM pg_catalog.pg_settings s
      WHERE s.name IN ('plan_cache_mode', 'enable_hashjoin', 'enable_mergejoin', 'enable_seqscan')
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings g WHERE g.name = 'gp_role')`,
  );
}

/** What was counted against somebody is cleared. */
import { z } from 'zod';
import type { Db } from '../store.ts';

/** Also what is counted behind it, on a line of its own. */
export async function forgiveAttempts(db: Db, subject: string): Promise<void> {
  await db.query(
    z.unknown(),
    'DELETE FROM opendts.login_attempt WHERE subject = $1 OR pg_catalog.starts_with(subject, $1 || pg_catalog.chr(10))',
    [subject],
  );
}

/** Forgets what is over: sessions, counts of attempts, answers kept for a repeated request. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function pruneExpired(db: Db): Promise<void> {
  await db.query(
    z.unknown(),
    `WITH sessions AS (DELETE FROM opendts.login_session WHERE expires_at <= now()),
          attempts AS (DELETE FROM opendts.login_attempt WHERE first_at < now() - interval '1 day')
     DELETE FROM opendts.idempotency WHERE created_at < now() - interval '1 day'`,
  );
}

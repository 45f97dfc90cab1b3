/** Forgets what is over: sessions, counts of attempts, answers kept for a repeated request; tokens after a while in which they are shown as such. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function pruneExpired(db: Db): Promise<void> {
  await db.query(
    z.unknown(),
    `WITH sessions AS (DELETE FROM opendts.login_session WHERE expires_at <= now()),
          tokens AS (DELETE FROM opendts.api_token WHERE LEAST(expires_at, revoked_at) < now() - interval '30 days'),
          attempts AS (DELETE FROM opendts.login_attempt WHERE first_at < now() - interval '1 day')
     DELETE FROM opendts.idempotency WHERE created_at < now() - interval '1 day'`,
  );
}

/** A session begins. */
import { z } from 'zod';
import type { Db } from '../../store.ts';

export interface NewSession {
  readonly tokenHash: string;
  readonly accountId: string;
  readonly idleSeconds: number;
}

export async function insertSession(db: Db, session: NewSession): Promise<void> {
  await db.query(
    z.unknown(),
    `INSERT INTO opendts.login_session (token_hash, account_id, expires_at)
     VALUES ($1, $2, now() + pg_catalog.make_interval(secs => $3))`,
    [session.tokenHash, session.accountId, String(session.idleSeconds)],
  );
}

/** Who a session belongs to; looking makes it last. */
import { only } from '../../columns.ts';
import type { Db } from '../../store.ts';
import { ACCOUNT_COLUMNS, accountRow, type Account } from '../account-row.ts';

export interface SessionUse {
  readonly tokenHash: string;
  /** It lasts so long from now on, */
  readonly idleSeconds: number;
  /** but not longer than so long from its beginning. */
  readonly longestSeconds: number;
}

/** Null when there is none, it has expired, or its account is disabled. Written at most once a minute. */
export async function useSession(db: Db, use: SessionUse): Promise<Account | null> {
  const rows = await db.query(
    accountRow,
    `WITH touched AS (
       UPDATE opendts.login_session s
          SET expires_at = LEAST(now() + pg_catalog.make_interval(secs => $2), s.created_at + pg_catalog.make_interval(secs => $3))
        WHERE s.token_hash = $1 AND s.expires_at > now()
          AND s.expires_at < now() + pg_catalog.make_interval(secs => $2) - interval '1 minute')
     SELECT ${ACCOUNT_COLUMNS} FROM opendts.login_session s JOIN opendts.account a ON a.id = s.account_id
      WHERE s.token_hash = $1 AND s.expires_at > now() AND NOT a.is_disabled`,
    [use.tokenHash, String(use.idleSeconds), String(use.longestSeconds)],
  );
  return only(rows);
}

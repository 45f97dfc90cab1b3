/** Who a token belongs to. */
import { only } from '../../columns.ts';
import type { Db } from '../../store.ts';
import { ACCOUNT_COLUMNS, accountRow, type Account } from '../account-row.ts';

/** Null when there is none, it has expired or was revoked, or its account is disabled. */
export async function findToken(db: Db, hash: string): Promise<Account | null> {
  const rows = await db.query(
    accountRow,
    `SELECT ${ACCOUNT_COLUMNS} FROM opendts.api_token t JOIN opendts.account a ON a.id = t.account_id
      WHERE t.token_hash = $1 AND t.expires_at > now() AND t.revoked_at IS NULL AND NOT a.is_disabled`,
    [hash],
  );
  return only(rows);
}

/** A token is valid no more. */
import { only } from '../../columns.ts';
import type { Db } from '../../store.ts';
import { TOKEN_COLUMNS, tokenRow, type ApiToken } from './token-row.ts';

/** Null when the account has none by that id or name. */
export async function revokeToken(db: Db, accountId: string, idOrName: string): Promise<ApiToken | null> {
  const rows = await db.query(
    tokenRow,
    `UPDATE opendts.api_token t SET revoked_at = COALESCE(t.revoked_at, now())
      WHERE t.account_id = $1 AND (t.id::text = $2 OR t.name = $2)
      RETURNING ${TOKEN_COLUMNS}`,
    [accountId, idOrName],
  );
  return only(rows);
}

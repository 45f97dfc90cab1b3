/** A new API token. */
import { only } from '../../columns.ts';
import type { Db } from '../../store.ts';
import { TOKEN_COLUMNS, tokenRow, type ApiToken } from './token-row.ts';

export interface NewToken {
  readonly id: string;
  readonly accountId: string;
  readonly name: string;
  readonly prefix: string;
  readonly hash: string;
  readonly days: number;
}

/** Null when the account has one of that name. */
export async function insertToken(db: Db, token: NewToken): Promise<ApiToken | null> {
  const rows = await db.query(
    tokenRow,
    `INSERT INTO opendts.api_token AS t (id, account_id, name, prefix, token_hash, expires_at)
     VALUES ($1, $2, $3, $4, $5, now() + pg_catalog.make_interval(days => $6)) ON CONFLICT DO NOTHING
     RETURNING ${TOKEN_COLUMNS}`,
    [token.id, token.accountId, token.name, token.prefix, token.hash, String(token.days)],
  );
  return only(rows);
}

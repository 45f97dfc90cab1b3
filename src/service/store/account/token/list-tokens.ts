/** The tokens of an account. */
import type { Db } from '../../store.ts';
import { TOKEN_COLUMNS, tokenRow, type ApiToken } from './token-row.ts';

export async function listTokens(db: Db, accountId: string): Promise<ApiToken[]> {
  return db.query(
    tokenRow,
    `SELECT ${TOKEN_COLUMNS} FROM opendts.api_token t WHERE t.account_id = $1 ORDER BY t.name`,
    [accountId],
  );
}

/** Accounts by name, page by page. */
import type { Db } from '../store.ts';
import { ACCOUNT_COLUMNS, accountRow, type Account } from './account-row.ts';
import type { Page } from '../page.ts';

export async function listAccounts(db: Db, { after, limit }: Page): Promise<Account[]> {
  return db.query(
    accountRow,
    `SELECT ${ACCOUNT_COLUMNS} FROM opendts.account a
      WHERE ($1::text IS NULL OR a.name > $1) ORDER BY a.name LIMIT $2`,
    [after, String(limit)],
  );
}

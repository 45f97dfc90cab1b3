/** An account by its id or name. */
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import { ACCOUNT_COLUMNS, accountRow, type Account } from './account-row.ts';

export async function findAccount(db: Db, idOrName: string): Promise<Account | null> {
  const rows = await db.query(
    accountRow,
    `SELECT ${ACCOUNT_COLUMNS} FROM opendts.account a WHERE a.id::text = $1 OR lower(a.name) = lower($1)`,
    [idOrName],
  );
  return only(rows);
}

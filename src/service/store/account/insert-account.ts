/** A new account. */
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import { ACCOUNT_COLUMNS, accountRow, type Account } from './account-row.ts';

export interface NewAccount {
  readonly id: string;
  readonly name: string;
  readonly passwordHash: string;
  readonly isAdministrator: boolean;
}

/** Its password is to be changed at the first login. Null when the name is taken. */
export async function insertAccount(db: Db, account: NewAccount): Promise<Account | null> {
  const rows = await db.query(
    accountRow,
    `INSERT INTO opendts.account AS a (id, name, password_hash, must_change_password, is_administrator)
     VALUES ($1, $2, $3, true, $4) ON CONFLICT DO NOTHING
     RETURNING ${ACCOUNT_COLUMNS}`,
    [account.id, account.name, account.passwordHash, String(account.isAdministrator)],
  );
  return only(rows);
}

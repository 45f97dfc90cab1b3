/** Whether an account may log in, and whether it administers the installation. */
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import { ACCOUNT_COLUMNS, accountRow, type Account } from './account-row.ts';

export interface AccountChange {
  readonly id: string;
  readonly version: number;
  readonly isDisabled: boolean;
  readonly isAdministrator: boolean;
}

/** Null when somebody has changed it since that version. */
export async function updateAccount(db: Db, change: AccountChange): Promise<Account | null> {
  const rows = await db.query(
    accountRow,
    `UPDATE opendts.account a SET is_disabled = $3, is_administrator = $4, version = a.version + 1
      WHERE a.id = $1 AND a.version = $2
      RETURNING ${ACCOUNT_COLUMNS}`,
    [change.id, String(change.version), String(change.isDisabled), String(change.isAdministrator)],
  );
  return only(rows);
}

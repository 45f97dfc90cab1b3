/** What a login is checked against. */
import { z } from 'zod';
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import { ACCOUNT_COLUMNS, accountRow } from './account-row.ts';

const found = z.intersection(
  accountRow,
  z
    .object({ password_hash: z.string().nullable() })
    .transform((row) => ({ passwordHash: row.password_hash })),
);
export type AccountWithPassword = z.infer<typeof found>;

export async function findPassword(db: Db, name: string): Promise<AccountWithPassword | null> {
  const rows = await db.query(
    found,
    `SELECT ${ACCOUNT_COLUMNS}, a.password_hash FROM opendts.account a WHERE lower(a.name) = lower($1)`,
    [name],
  );
  return only(rows);
}

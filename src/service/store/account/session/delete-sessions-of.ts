/** All sessions of an account end: its password is another, or it is disabled. */
import { z } from 'zod';
import type { Db } from '../../store.ts';

export async function deleteSessionsOf(db: Db, accountId: string): Promise<void> {
  await db.query(z.unknown(), 'DELETE FROM opendts.login_session WHERE account_id = $1', [accountId]);
}

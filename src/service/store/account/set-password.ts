/** Another password for an account. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export interface NewPassword {
  readonly accountId: string;
  readonly hash: string;
  /** It was given by somebody else. */
  readonly mustChange: boolean;
}

export async function setPassword(db: Db, { accountId, hash, mustChange }: NewPassword): Promise<void> {
  await db.query(
    z.unknown(),
    'UPDATE opendts.account SET password_hash = $2, must_change_password = $3, version = version + 1 WHERE id = $1',
    [accountId, hash, String(mustChange)],
  );
}

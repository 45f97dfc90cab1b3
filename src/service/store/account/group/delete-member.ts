/** Somebody leaves a group. */
import { z } from 'zod';
import type { Db } from '../../store.ts';

export async function deleteMember(db: Db, groupId: string, accountId: string): Promise<void> {
  await db.query(z.unknown(), 'DELETE FROM opendts.membership WHERE group_id = $1 AND account_id = $2', [
    groupId,
    accountId,
  ]);
}

/** A session ends. */
import { z } from 'zod';
import type { Db } from '../../store.ts';

export async function deleteSession(db: Db, tokenHash: string): Promise<void> {
  await db.query(z.unknown(), 'DELETE FROM opendts.login_session WHERE token_hash = $1', [tokenHash]);
}

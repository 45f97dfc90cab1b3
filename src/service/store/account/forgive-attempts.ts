/** A login that succeeded clears what was counted against it. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function forgiveAttempts(db: Db, subject: string): Promise<void> {
  await db.query(z.unknown(), 'DELETE FROM opendts.login_attempt WHERE subject = $1', [subject]);
}

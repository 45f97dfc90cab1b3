/** A pass has ended, and its hands with it. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function deletePass(db: Db, passId: string): Promise<void> {
  await db.query(z.unknown(), 'DELETE FROM opendts.copy_pass WHERE id = $1', [passId]);
}

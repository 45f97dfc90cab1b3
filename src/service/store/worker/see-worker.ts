/** A worker is still there. */
import { z } from 'zod';
import { bool, only } from '../columns.ts';
import type { Db } from '../store.ts';

/** Whether it is to drain; null when its row was removed meanwhile. */
export async function seeWorker(db: Db, id: string): Promise<{ draining: boolean } | null> {
  return only(
    await db.query(
      z.object({ draining: bool }),
      'UPDATE opendts.worker SET seen_at = now() WHERE id = $1 RETURNING draining',
      [id],
    ),
  );
}

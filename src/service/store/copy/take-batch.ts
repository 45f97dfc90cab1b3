/** A hand takes the batch that it was given. */
import { z } from 'zod';
import { int, only } from '../columns.ts';
import type { Db } from '../store.ts';

/** `batch` is JSON. Null when there is none. Asked again it gives the same: the first answer may have been lost. */
export async function takeBatch(db: Db, handId: string): Promise<{ unit: number; batch: string } | null> {
  const rows = await db.query(
    z.object({ unit: int, batch: z.string() }),
    "UPDATE opendts.copy_hand SET state = 'copying' WHERE id = $1 AND state IN ('given', 'copying') RETURNING unit, batch",
    [handId],
  );
  return only(rows);
}

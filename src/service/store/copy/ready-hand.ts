/** A hand has opened its connections and may be given work. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function readyHand(db: Db, handId: string): Promise<void> {
  await db.query(
    z.unknown(),
    `WITH ready AS (UPDATE opendts.copy_hand SET state = 'ready' WHERE id = $1 AND state = 'opening' RETURNING pass_id)
     SELECT pg_catalog.pg_notify('opendts_copy', 'owner ' || ready.pass_id) FROM ready`,
    [handId],
  );
}

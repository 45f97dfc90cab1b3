/** A hand is given back, or given up by the owner of its pass. */
import { z } from 'zod';
import type { Db } from '../store.ts';

/** `beats`: only while nothing newer was heard of its worker. False when that is not so, or it is gone already. */
export async function deleteHand(db: Db, handId: string, beats: string | null = null): Promise<boolean> {
  const rows = await db.query(
    z.unknown(),
    `WITH gone AS (DELETE FROM opendts.copy_hand WHERE id = $1 AND beats = coalesce($2::bigint, beats) RETURNING pass_id)
     SELECT pg_catalog.pg_notify('opendts_copy', 'owner ' || gone.pass_id) FROM gone`,
    [handId, beats],
  );
  return rows.length > 0;
}

/** The owner gives a hand its next batch, and calls it. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export interface GivenBatch {
  readonly handId: string;
  readonly unit: number;
  /** JSON. */
  readonly batch: string;
}

/** False when the hand is gone, has failed, or the task has another owner. */
export async function giveBatch(db: Db, { handId, unit, batch }: GivenBatch): Promise<boolean> {
  const rows = await db.query(
    z.unknown(),
    `WITH given AS (
       UPDATE opendts.copy_hand h SET state = 'given', unit = $2::integer, batch = $3::jsonb, passed = '{}', result = NULL
         FROM opendts.copy_pass p JOIN opendts.task t ON t.id = p.task_id AND t.fence = p.fence
        WHERE h.id = $1 AND p.id = h.pass_id AND h.state IN ('ready', 'done') RETURNING h.id)
     SELECT pg_catalog.pg_notify('opendts_copy', 'hand ' || given.id) FROM given`,
    [handId, String(unit), batch],
  );
  return rows.length > 0;
}

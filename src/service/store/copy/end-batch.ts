/** A hand says what came of its batch. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export interface EndedBatch {
  readonly handId: string;
  readonly unit: number;
  readonly state: 'done' | 'failed';
  /** JSON: the chunks as they are recorded on the target, or the error. */
  readonly result: string;
}

/** Nothing happens where the owner has given the hand up. */
export async function endBatch(db: Db, { handId, unit, state, result }: EndedBatch): Promise<void> {
  await db.query(
    z.unknown(),
    `WITH ended AS (
       UPDATE opendts.copy_hand SET state = $3, result = $4::jsonb WHERE id = $1 AND unit = $2::integer AND state = 'copying' RETURNING pass_id)
     SELECT pg_catalog.pg_notify('opendts_copy', 'owner ' || ended.pass_id) FROM ended`,
    [handId, String(unit), state, result],
  );
}

/** A worker lends a hand to a pass that it has locked, unless others have lent enough meanwhile. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export interface NewHand {
  readonly id: string;
  readonly passId: string;
  readonly workerId: string;
}

export async function insertHand(db: Db, { id, passId, workerId }: NewHand): Promise<boolean> {
  const rows = await db.query(
    z.unknown(),
    `INSERT INTO opendts.copy_hand (id, pass_id, worker_id)
     SELECT $1, p.id, $3 FROM opendts.copy_pass p
      WHERE p.id = $2 AND (SELECT count(*) FROM opendts.copy_hand h WHERE h.pass_id = p.id) < p.hands RETURNING id`,
    [id, passId, workerId],
  );
  return rows.length > 0;
}

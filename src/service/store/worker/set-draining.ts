/** A worker is to drain, or no longer. */
import { z } from 'zod';
import { bool } from '../columns.ts';
import type { Db } from '../store.ts';

const row = z
  .object({ id: z.string(), name: z.string(), draining: bool })
  .transform(({ id, name, draining }) => ({ id, name, isDraining: draining }));

/** The one with this id, or those with this name that live: several may have one name, and one that was killed leaves its own behind for a day. */
export async function setDraining(db: Db, idOrName: string, drain: boolean) {
  return db.query(
    row,
    `UPDATE opendts.worker w SET draining = $2::boolean
      WHERE w.id::text = $1 OR (w.name = $1 AND w.seen_at > now() - interval '15 s')
     RETURNING w.id, w.name, w.draining`,
    [idOrName, String(drain)],
  );
}

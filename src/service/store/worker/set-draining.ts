/** A worker is to drain, or no longer. */
import { z } from 'zod';
import { bool } from '../columns.ts';
import type { Db } from '../store.ts';

const row = z
  .object({ id: z.string(), name: z.string(), draining: bool })
  .transform(({ id, name, draining }) => ({ id, name, isDraining: draining }));

/** Those with this id or name: several workers may have one name. */
export async function setDraining(db: Db, idOrName: string, drain: boolean) {
  return db.query(
    row,
    `UPDATE opendts.worker w SET draining = $2::boolean WHERE w.id::text = $1 OR w.name = $1
     RETURNING w.id, w.name, w.draining`,
    [idOrName, String(drain)],
  );
}

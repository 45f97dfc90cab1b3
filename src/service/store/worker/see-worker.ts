/** A worker is still there; and what of the store has changed below it. */
import { z } from 'zod';
import { bool, only } from '../columns.ts';
import type { Db } from '../store.ts';

export interface Seeing {
  readonly id: string;
  /** The newest migration of its program. */
  readonly knows: number;
  /** What the last seeing gave; null: it is the first. */
  readonly lastSeen: string | null;
}

const row = z
  .object({ draining: bool, seen_at: z.string(), is_older: bool, is_outdated: bool })
  .transform((found) => ({
    isDraining: found.draining,
    seenAt: found.seen_at,
    /** The store has forgotten that the worker was seen: it was restored from an earlier day. */
    isOlder: found.is_older,
    /** A migration was applied that is not for its version. */
    isOutdated: found.is_outdated,
  }));

/** Null when its row is not there: it was removed, or never was. */
export async function seeWorker(db: Db, { id, knows, lastSeen }: Seeing) {
  const rows = await db.query(
    row,
    `UPDATE opendts.worker w SET seen_at = now()
       FROM (SELECT b.id, b.seen_at FROM opendts.worker b WHERE b.id = $1 FOR UPDATE) before
      WHERE w.id = before.id
     RETURNING w.draining, w.seen_at, coalesce(before.seen_at < $2::timestamptz, false) AS is_older,
               EXISTS (SELECT FROM opendts.migration m WHERE m.number > $3::int AND m.breaks IS NOT NULL) AS is_outdated`,
    [id, lastSeen, String(knows)],
  );
  return only(rows);
}

/** A worker says that its hands live and how far they are, and sees what has become of their passes. */
import { z } from 'zod';
import { bool, json } from '../columns.ts';
import type { Db } from '../store.ts';
import { handLimits, handState } from './hand-row.ts';

export interface HandBeat {
  readonly id: string;
  /** Bytes and rows of the batch it is at, by chunk. */
  readonly passed: Readonly<Record<string, readonly [number, number]>>;
}

const row = z.object({
  id: z.string(),
  state: handState,
  is_over: bool,
  limits: json(handLimits),
});

export type HandNews = z.infer<typeof row>;

/** Those that are missing are gone, or nobody owns their pass: its owner was not heard of for half a minute, or the task has another. */
export async function beatHands(db: Db, hands: readonly HandBeat[]): Promise<HandNews[]> {
  return db.query(
    row,
    `UPDATE opendts.copy_hand h
        SET beats = h.beats + 1, passed = CASE WHEN h.state = 'copying' THEN mine.passed ELSE h.passed END
       FROM pg_catalog.jsonb_to_recordset($1::jsonb) AS mine (id uuid, passed jsonb), opendts.copy_pass p, opendts.task t
      WHERE h.id = mine.id AND p.id = h.pass_id AND t.id = p.task_id AND t.fence = p.fence AND p.beat_at > now() - interval '30 s'
      RETURNING h.id, h.state, p.is_over, p.limits`,
    [JSON.stringify(hands)],
  );
}

/** The owner of a pass says that it lives and what it can use, and sees how its hands are. */
import { z } from 'zod';
import { int, json } from '../columns.ts';
import type { Db } from '../store.ts';
import { handState } from './hand-row.ts';

export interface PassBeat {
  readonly id: string;
  readonly hands: number;
  readonly bytesLeft: bigint;
  /** JSON. */
  readonly limits: string;
  readonly isOver: boolean;
}

const row = z.object({
  id: z.string().nullable(),
  worker_id: z.string().nullable(),
  state: handState.nullable(),
  beats: z.string().nullable(),
  unit: int.nullable(),
  passed: json(z.record(z.string(), z.tuple([z.number(), z.number()]))).nullable(),
  result: z.string().nullable(),
});

/** One hand of another worker. */
export interface HandSeen {
  readonly id: string;
  readonly workerId: string;
  readonly state: z.infer<typeof handState>;
  /** Another number than before: its worker lives. */
  readonly beats: string;
  readonly unit: number;
  /** Bytes and rows, by chunk. */
  readonly passed: Readonly<Record<string, readonly [number, number]>>;
  /** JSON. */
  readonly result: string | null;
}

/** Null when the pass is not the owner's any more. */
export async function beatPass(db: Db, beat: PassBeat): Promise<HandSeen[] | null> {
  const rows = await db.query(
    row,
    `WITH own AS (
       UPDATE opendts.copy_pass p SET hands = $2::integer, bytes_left = $3::bigint, limits = $4::jsonb, is_over = $5::boolean, beat_at = now()
         FROM opendts.task t WHERE p.id = $1 AND t.id = p.task_id AND t.fence = p.fence RETURNING p.id)
     SELECT h.id, h.worker_id, h.state, h.beats, h.unit, h.passed, h.result
       FROM own LEFT JOIN opendts.copy_hand h ON h.pass_id = own.id`,
    [beat.id, String(beat.hands), String(beat.bytesLeft), beat.limits, String(beat.isOver)],
  );
  if (rows.length === 0) return null;
  return rows.flatMap(({ id, worker_id: workerId, state, beats, unit, passed, result }) =>
    id === null || workerId === null || state === null || unit === null
      ? []
      : [{ id, workerId, state, beats: beats ?? '', unit, passed: passed ?? {}, result }],
  );
}

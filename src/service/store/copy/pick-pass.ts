/** The pass with the most left to copy that can use one more hand of a worker. */
import { z } from 'zod';
import { int, json, only } from '../columns.ts';
import type { Db } from '../store.ts';
import { handLimits } from './hand-row.ts';

export interface Looking {
  readonly workerId: string;
  readonly cluster: string | null;
  readonly format: number;
  /** Passes that the worker had no luck with lately. */
  readonly except: readonly string[];
}

const row = z.object({
  id: z.string(),
  task_id: z.string(),
  hand_task: z.string(),
  source: z.string().nullable(),
  target: z.string().nullable(),
  jobs: int,
  limits: json(handLimits),
});

export interface PickedPass {
  readonly id: string;
  readonly taskId: string;
  /** Ids of the task's connections. */
  readonly connections: readonly string[];
  /** JSON. */
  readonly handTask: string;
  readonly jobs: number;
  /** Of each hand. */
  readonly limits: z.infer<typeof handLimits>;
}

/**
 * Inside the transaction that adds the hand: the pass is locked until then, and whoever looks meanwhile waits, for a moment. What another has
 * added just before may not be counted yet: insertHand counts again, under the lock.
 */
export async function pickPass(db: Db, looking: Looking): Promise<PickedPass | null> {
  const rows = await db.query(
    row,
    `SELECT p.id, p.task_id, t.source_connection AS source, t.target_connection AS target, p.hand_task, p.jobs, p.limits
       FROM opendts.copy_pass p JOIN opendts.task t ON t.id = p.task_id AND t.fence = p.fence
      WHERE p.format = $3::integer AND NOT p.is_over AND p.hands > 0 AND p.beat_at > now() - interval '10 s'
        AND t.cluster IS NOT DISTINCT FROM $2 AND t.worker_id IS DISTINCT FROM $1::uuid
        AND p.id <> ALL (ARRAY(SELECT e.value::uuid FROM pg_catalog.jsonb_array_elements_text($4::jsonb) e))
        AND (SELECT count(*) FROM opendts.copy_hand h WHERE h.pass_id = p.id) < p.hands
        AND (SELECT count(*) FROM opendts.copy_hand h WHERE h.pass_id = p.id AND h.worker_id = $1::uuid) < p.jobs
      ORDER BY p.bytes_left DESC, p.id LIMIT 1 FOR UPDATE OF p`,
    [looking.workerId, looking.cluster, String(looking.format), JSON.stringify(looking.except)],
  );
  const picked = only(rows);
  if (picked === null) return null;
  const { id, task_id: taskId, hand_task: handTask, source, target, jobs, limits } = picked;
  const connections = [source, target].filter((one) => one !== null);
  return { id, taskId, connections, handTask, jobs, limits };
}

/** The owner of a task offers others to copy with it; what earlier owners offered goes. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export interface NewPass {
  readonly id: string;
  readonly taskId: string;
  readonly fence: string;
  readonly format: number;
  /** JSON. */
  readonly handTask: string;
  readonly jobs: number;
}

/** False when the task has another owner. Asked again it is no other: the first answer may have been lost. Says what is of use with beatPass. */
export async function insertPass(db: Db, pass: NewPass): Promise<boolean> {
  const rows = await db.query(
    z.unknown(),
    `WITH own AS (SELECT id, fence FROM opendts.task WHERE id = $2 AND fence = $3::bigint FOR SHARE),
          former AS (DELETE FROM opendts.copy_pass p USING own WHERE p.task_id = own.id AND p.fence <> own.fence)
     INSERT INTO opendts.copy_pass (id, task_id, fence, format, hand_task, jobs, hands, bytes_left, limits)
     SELECT $1, own.id, own.fence, $4::integer, $5::jsonb, $6::integer, 0, 0, '{}' FROM own
     ON CONFLICT (id) DO UPDATE SET beat_at = now() RETURNING id`,
    [pass.id, pass.taskId, pass.fence, String(pass.format), pass.handTask, String(pass.jobs)],
  );
  return rows.length > 0;
}

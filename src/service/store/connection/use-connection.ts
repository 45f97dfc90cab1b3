/** A task takes so many places of a connection. */
import { z } from 'zod';
import { AppError } from '../../../base/errors/app-error.ts';
import type { Db } from '../store.ts';

export interface Use {
  readonly connectionId: string;
  readonly taskId: string;
  readonly workerId: string;
  readonly fence: string;
  readonly count: number;
}

/** Throws FENCED: the places are those of whoever has the task. */
export async function useConnection(db: Db, use: Use): Promise<void> {
  const { connectionId, taskId, workerId, fence, count } = use;
  const rows = await db.query(
    z.unknown(),
    `INSERT INTO opendts.connection_use (connection_id, task_id, worker_id, count)
     SELECT $1, t.id, $3, $4::integer FROM opendts.task t WHERE t.id = $2 AND t.fence = $5::bigint
     ON CONFLICT (connection_id, task_id) DO UPDATE SET worker_id = EXCLUDED.worker_id, count = EXCLUDED.count
     RETURNING task_id`,
    [connectionId, taskId, workerId, String(count), fence],
  );
  if (rows.length === 0) throw new AppError('FENCED', { theirs: 'newer', ours: fence });
}

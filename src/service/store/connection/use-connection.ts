/** A task takes so many places of a connection. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export interface Use {
  readonly connectionId: string;
  readonly taskId: string;
  readonly workerId: string;
  readonly count: number;
}

export async function useConnection(db: Db, { connectionId, taskId, workerId, count }: Use): Promise<void> {
  await db.query(
    z.unknown(),
    `INSERT INTO opendts.connection_use (connection_id, task_id, worker_id, count) VALUES ($1, $2, $3, $4)
     ON CONFLICT (connection_id, task_id) DO UPDATE SET worker_id = EXCLUDED.worker_id, count = EXCLUDED.count`,
    [connectionId, taskId, workerId, String(count)],
  );
}

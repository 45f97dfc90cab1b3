/** A task gives back its places; not those that another worker has taken for it since. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function leaveConnections(db: Db, taskId: string, workerId: string): Promise<void> {
  await db.query(
    z.unknown(),
    'DELETE FROM opendts.connection_use u WHERE u.task_id = $1 AND u.worker_id = $2',
    [taskId, workerId],
  );
}

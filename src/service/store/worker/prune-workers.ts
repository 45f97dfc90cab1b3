/** Workers that were killed and have not been seen for a day. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function pruneWorkers(db: Db): Promise<void> {
  await db.query(
    z.unknown(),
    `DELETE FROM opendts.worker w WHERE w.seen_at < now() - interval '1 day'
        AND NOT EXISTS (SELECT FROM opendts.task t WHERE t.worker_id = w.id)`,
  );
}

/** A worker says that it is there. */
import { z } from 'zod';
import type { Db } from '../store.ts';
import type { StoredWorker } from './worker-row.ts';

export interface NewWorker extends Omit<StoredWorker, 'startedAt' | 'seenAt' | 'isDraining'> {
  /** The newest migration of its program. */
  readonly knows: number;
}

/** Also after its row was removed while it was away. */
export async function putWorker(db: Db, worker: NewWorker): Promise<void> {
  await db.query(
    z.unknown(),
    `INSERT INTO opendts.worker (id, name, version, region, cluster, host, pid, capacity, knows)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (id) DO UPDATE SET seen_at = now(), capacity = EXCLUDED.capacity`,
    [
      worker.id,
      worker.name,
      worker.version,
      worker.region,
      worker.cluster,
      worker.host,
      String(worker.pid),
      String(worker.capacity),
      String(worker.knows),
    ],
  );
}

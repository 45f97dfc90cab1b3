/** A process that runs tasks, as the store has it. */
import { z } from 'zod';
import { bool, int, time } from '../columns.ts';

/** Of `opendts.worker w`. */
export const WORKER_COLUMNS =
  'w.id, w.name, w.version, w.region, w.cluster, w.host, w.pid, w.started_at, w.seen_at, w.draining, w.capacity';

export const workerRow = z
  .object({
    id: z.string(),
    name: z.string(),
    version: z.string(),
    region: z.string().nullable(),
    cluster: z.string().nullable(),
    host: z.string(),
    pid: int,
    started_at: time,
    seen_at: time,
    draining: bool,
    capacity: int,
  })
  .transform((row) => ({
    id: row.id,
    name: row.name,
    version: row.version,
    region: row.region,
    cluster: row.cluster,
    host: row.host,
    pid: row.pid,
    startedAt: row.started_at,
    seenAt: row.seen_at,
    isDraining: row.draining,
    capacity: row.capacity,
  }));
export type StoredWorker = z.infer<typeof workerRow>;

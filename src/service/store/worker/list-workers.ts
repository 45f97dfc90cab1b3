/** All workers by name. */
import type { Db } from '../store.ts';
import { WORKER_COLUMNS, workerRow, type StoredWorker } from './worker-row.ts';

export async function listWorkers(db: Db): Promise<StoredWorker[]> {
  return db.query(workerRow, `SELECT ${WORKER_COLUMNS} FROM opendts.worker w ORDER BY w.name, w.id`);
}

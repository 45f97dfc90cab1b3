/** A worker by its id. */
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import { WORKER_COLUMNS, workerRow, type StoredWorker } from './worker-row.ts';

export async function findWorker(db: Db, id: string): Promise<StoredWorker | null> {
  const rows = await db.query(workerRow, `SELECT ${WORKER_COLUMNS} FROM opendts.worker w WHERE w.id = $1`, [
    id,
  ]);
  return only(rows);
}

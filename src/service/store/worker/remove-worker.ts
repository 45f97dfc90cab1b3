/** A worker has ended in good order, and has given back what it had. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function removeWorker(db: Db, id: string): Promise<void> {
  await db.query(z.unknown(), 'DELETE FROM opendts.worker WHERE id = $1', [id]);
}

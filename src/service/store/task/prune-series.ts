/** What is older than 30 days goes. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function pruneSeries(db: Db): Promise<void> {
  await db.query(z.unknown(), "DELETE FROM opendts.task_series WHERE at < now() - interval '30 days'");
}

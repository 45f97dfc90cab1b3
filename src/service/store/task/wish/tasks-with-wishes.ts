/** Of these tasks the ones for whose tables persons want something. */
import { z } from 'zod';
import type { Db } from '../../store.ts';

export async function tasksWithWishes(db: Db, ids: readonly string[]): Promise<string[]> {
  const rows = await db.query(
    z.object({ id: z.string() }),
    `SELECT DISTINCT w.task_id AS id FROM opendts.task_table_wish w
      WHERE w.task_id IN (SELECT one::uuid FROM pg_catalog.jsonb_array_elements_text($1::jsonb) one)`,
    [JSON.stringify(ids)],
  );
  return rows.map(({ id }) => id);
}

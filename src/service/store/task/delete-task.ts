/** A task is forgotten, with its timeline. */
import { z } from 'zod';
import type { Db } from '../store.ts';
import { TASK_CHANNEL } from './task-row.ts';

/** False when it has changed since that version. */
export async function deleteTask(db: Db, id: string, version: number): Promise<boolean> {
  const rows = await db.query(
    z.unknown(),
    `WITH gone AS (DELETE FROM opendts.task WHERE id = $1 AND version = $2 RETURNING id)
     SELECT pg_catalog.pg_notify('${TASK_CHANNEL}', g.id::text) FROM gone g`,
    [id, String(version)],
  );
  return rows.length > 0;
}

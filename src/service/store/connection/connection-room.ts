/** How many places of a connection's limit other tasks leave. */
import { z } from 'zod';
import { int, only } from '../columns.ts';
import type { Db } from '../store.ts';
import { usedByHands, usedByTasks } from './connection-use.ts';

/** Null: it has no limit. */
export async function connectionRoom(db: Db, connectionId: string, taskId: string): Promise<number | null> {
  const rows = await db.query(
    z.object({ room: int.nullable() }),
    `SELECT c.max_connections - ${usedByTasks('u.task_id <> $2')} - ${usedByHands('p.task_id <> $2')} AS room
       FROM opendts.connection c WHERE c.id = $1`,
    [connectionId, taskId],
  );
  return only(rows)?.room ?? null;
}

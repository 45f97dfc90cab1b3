/** Whether the limits of a task's two connections leave room for one more hand of another worker. */
import { z } from 'zod';
import { bool } from '../columns.ts';
import { SESSIONS_OF_A_HAND, usedByHands, usedByTasks } from './connection-use.ts';
import type { Db } from '../store.ts';

/** With the connections locked, inside the transaction that adds the hand. */
export async function hasRoom(db: Db, taskId: string): Promise<boolean> {
  const used = `${usedByTasks('true')} - ${usedByHands('true')}`;
  const [row] = await db.query(
    z.object({ room: bool }),
    `SELECT COALESCE(pg_catalog.bool_and(c.max_connections IS NULL OR c.max_connections - ${used} >= ${SESSIONS_OF_A_HAND}), true) AS room
       FROM opendts.task t JOIN opendts.connection c ON c.id IN (t.source_connection, t.target_connection) WHERE t.id = $1`,
    [taskId],
  );
  return row?.room ?? false;
}

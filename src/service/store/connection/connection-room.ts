/** How many places of a connection's limit other tasks leave. */
import { z } from 'zod';
import { int, only } from '../columns.ts';
import type { Db } from '../store.ts';

/** What a worker had that has not been seen for so long counts no more. */
const GONE = "interval '15 seconds'";

/** Null: it has no limit. */
export async function connectionRoom(db: Db, connectionId: string, taskId: string): Promise<number | null> {
  const rows = await db.query(
    z.object({ room: int.nullable() }),
    `SELECT c.max_connections - COALESCE((
              SELECT sum(u.count) FROM opendts.connection_use u JOIN opendts.worker w ON w.id = u.worker_id
               WHERE u.connection_id = c.id AND u.task_id <> $2 AND w.seen_at > now() - ${GONE}), 0)::int AS room
       FROM opendts.connection c WHERE c.id = $1`,
    [connectionId, taskId],
  );
  return only(rows)?.room ?? null;
}

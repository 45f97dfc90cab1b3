/** The tasks that use a connection, by name. */
import { z } from 'zod';
import { TASK_STATES } from '../../../contract/api/task-states.ts';
import type { Db } from '../store.ts';

const userRow = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(TASK_STATES),
  as: z.enum(['source', 'target']),
});
export type ConnectionUser = z.infer<typeof userRow>;

export async function listUsersOfConnection(
  db: Db,
  connectionId: string,
  limit: number,
): Promise<ConnectionUser[]> {
  return db.query(
    userRow,
    `SELECT t.id, t.name, t.state, CASE WHEN t.source_connection = $1 THEN 'source' ELSE 'target' END AS "as"
       FROM opendts.task t WHERE t.source_connection = $1 OR t.target_connection = $1 ORDER BY t.name, t.id LIMIT $2`,
    [connectionId, String(limit)],
  );
}

/** Tasks that some worker has, by name. */
import { z } from 'zod';
import { TASK_STATES } from '../../../contract/api/task-states.ts';
import type { Db } from '../store.ts';

const row = z.object({
  id: z.string(),
  name: z.string(),
  group: z.string(),
  state: z.enum(TASK_STATES),
  workerId: z.string(),
});

export async function listRunning(db: Db) {
  return db.query(
    row,
    `SELECT t.id, t.name, g.name AS "group", t.state, t.worker_id AS "workerId"
       FROM opendts.task t JOIN opendts.resource_group g ON g.id = t.group_id
      WHERE t.worker_id IS NOT NULL ORDER BY t.name, t.id`,
  );
}

/** What whoever asked for the release of a task has said with it: the timeline knows. */
import { z } from 'zod';
import { json, only } from '../../columns.ts';
import type { Db } from '../../store.ts';

const choice = z.object({
  dropDeadLetters: z.boolean().default(false),
  sourceGone: z.boolean().default(false),
});
const row = z.object({ facts: json(choice) });

export async function releaseChoice(db: Db, taskId: string): Promise<z.output<typeof choice>> {
  const rows = await db.query(
    row,
    `SELECT e.facts FROM opendts.task_event e
      WHERE e.task_id = $1 AND e.kind = 'release' ORDER BY e.id DESC LIMIT 1`,
    [taskId],
  );
  return only(rows)?.facts ?? choice.parse({});
}

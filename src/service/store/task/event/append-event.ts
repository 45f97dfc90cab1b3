/** Something happened to a task that leaves its state as it is. */
import { z } from 'zod';
import type { Db } from '../../store.ts';
import type { Doer } from '../change-state.ts';
import { TASK_CHANNEL } from '../task-row.ts';

export interface TaskEventEntry {
  readonly taskId: string;
  readonly kind: string;
  readonly by: Doer;
  /** Never values of rows, never secrets. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export async function appendEvent(db: Db, { taskId, kind, by, facts }: TaskEventEntry): Promise<void> {
  await db.query(
    z.unknown(),
    `WITH noted AS (
       INSERT INTO opendts.task_event (task_id, kind, account_id, account_name, worker_id, facts)
       VALUES ($1, $2, $3, $4, $5, $6::jsonb) RETURNING task_id
     )
     SELECT pg_catalog.pg_notify('${TASK_CHANNEL}', n.task_id::text) FROM noted n`,
    [taskId, kind, by.accountId, by.accountName, by.workerId, JSON.stringify(facts)],
  );
}

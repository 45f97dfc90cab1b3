/** The timeline of a task, the newest first. */
import { z } from 'zod';
import { json, time } from '../../columns.ts';
import type { Page } from '../../page.ts';
import type { Db } from '../../store.ts';

const event = z
  .object({
    id: z.string(),
    at: time,
    kind: z.string(),
    from_state: z.string().nullable(),
    to_state: z.string().nullable(),
    account_name: z.string().nullable(),
    worker_id: z.string().nullable(),
    facts: json(z.record(z.string(), z.unknown())),
  })
  .transform((row) => ({
    id: row.id,
    at: row.at,
    kind: row.kind,
    fromState: row.from_state,
    toState: row.to_state,
    account: row.account_name,
    workerId: row.worker_id,
    facts: row.facts,
  }));
export type StoredEvent = z.infer<typeof event>;

export async function listEvents(db: Db, taskId: string, { after, limit }: Page): Promise<StoredEvent[]> {
  return db.query(
    event,
    `SELECT e.id, e.at, e.kind, e.from_state, e.to_state, e.account_name, e.worker_id, e.facts
       FROM opendts.task_event e
      WHERE e.task_id = $1 AND ($2::bigint IS NULL OR e.id < $2::bigint) ORDER BY e.id DESC LIMIT $3`,
    [taskId, after, String(limit)],
  );
}

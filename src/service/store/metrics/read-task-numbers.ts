/** What is counted of tasks that are under way. */
import { z } from 'zod';
import type { TaskState } from '../../../contract/api/task-states.ts';
import { int, json } from '../columns.ts';
import type { Db } from '../store.ts';

const number = z.string().transform(Number).nullable();

const numbersRow = z.object({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  attempts: int,
  age: number,
  share: number,
  rows_copied: number,
  bytes_copied: number,
  changes_applied: number,
  transactions_applied: number,
  dead_letters: number,
  lag_bytes: number,
  delay_ms: number,
  retained_bytes: number,
  tables: json(z.record(z.string(), z.number())).nullable(),
});
export type TaskNumbers = z.infer<typeof numbersRow>;

/** In these nothing is to be counted. */
export const QUIET_STATES: readonly TaskState[] = [
  'not-configured',
  'not-started',
  'precheck-failed',
  'prechecked',
  'stopped',
  'completed',
  'released',
];

/** The oldest first, at most so many. */
export async function readTaskNumbers(db: Db, limit: number): Promise<TaskNumbers[]> {
  return db.query(
    numbersRow,
    `SELECT t.id, t.name, t.state, t.attempts, extract(epoch FROM clock_timestamp() - p.at) AS age,
            p.body->'copy'->>'share' AS share, p.body->>'rowsCopied' AS rows_copied, p.body->>'bytesCopied' AS bytes_copied,
            p.body->>'changesApplied' AS changes_applied, p.body->>'transactionsApplied' AS transactions_applied,
            p.body->>'deadLetters' AS dead_letters, p.body->>'lagBytes' AS lag_bytes, p.delay_ms,
            p.body->'slot'->>'retainedBytes' AS retained_bytes, p.body->'tables' AS tables
       FROM opendts.task t LEFT JOIN opendts.task_progress p ON p.task_id = t.id
      WHERE t.state <> ALL ($1::text[]) ORDER BY t.created_at, t.id LIMIT $2`,
    [`{${QUIET_STATES.join(',')}}`, String(limit)],
  );
}

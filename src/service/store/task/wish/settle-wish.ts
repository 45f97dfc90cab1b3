/** A wish for a table is done, or cannot be: its timeline says so, and it is gone. */
import { z } from 'zod';
import { AppError } from '../../../../base/errors/app-error.ts';
import type { Db } from '../../store.ts';
import type { Note } from '../event/note-event.ts';
import { TASK_CHANNEL } from '../task-row.ts';
import type { StoredWish } from './list-wishes.ts';

/** Not one that was asked for since. Throws FENCED, and the wish stays for the owner of now, where somebody else has the task. */
export async function settleWish(
  db: Db,
  { name, askedAt }: StoredWish,
  { taskId, fence, kind, facts }: Note,
): Promise<void> {
  const [told] = await db.query(
    z.unknown(),
    `WITH mine AS (
       SELECT t.id, t.worker_id FROM opendts.task t WHERE t.id = $1 AND t.fence = $2::bigint FOR SHARE
     ), settled AS (
       DELETE FROM opendts.task_table_wish w USING mine m
        WHERE w.task_id = m.id AND w.name = $3 AND w.asked_at = $4::timestamptz
     ), noted AS (
       INSERT INTO opendts.task_event (task_id, kind, worker_id, facts)
       SELECT m.id, $5, m.worker_id, $6::jsonb FROM mine m RETURNING task_id
     )
     SELECT pg_catalog.pg_notify('${TASK_CHANNEL}', n.task_id::text) FROM noted n`,
    [taskId, fence, name, askedAt, kind, JSON.stringify(facts)],
  );
  if (told === undefined) throw new AppError('FENCED', { theirs: 'newer', ours: fence });
}

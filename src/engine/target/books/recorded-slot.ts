/** The task's slot, written down on the target with the position that its stream begins at. */
import { formatLsn } from '../../change/lsn.ts';
import type { Session } from '../../pg/session.ts';
import { holdFence, type TaskRow } from './task-row.ts';

/**
 * Records the slot together with the first lane's start, so that no slot is ever read from a position that is not written down. `skipped`:
 * changes per source table that were read and lie before that start; they are accounted for as filtered (I6).
 */
export async function recordSlot(
  session: Session,
  task: { taskId: string; fence: bigint },
  slot: NonNullable<TaskRow['slot']>,
  skipped: ReadonlyMap<string, number> = new Map(),
): Promise<void> {
  const lsn = formatLsn(slot.lsn);
  await session.transaction(async () => {
    await holdFence(session, task.taskId, task.fence);
    await session.query(
      `UPDATE _opendts.task SET phase = 'copy', slot_lsn = $2, slot_snapshot = $3, slot_timeline = $4, slot_decoder = $5 WHERE task_id = $1`,
      [task.taskId, lsn, slot.snapshot, String(slot.timeline), slot.decoder],
    );
    await session.query(
      `INSERT INTO _opendts.lane (task_id, lane, end_lsn, timeline, fence, commits) VALUES ($1, 0, $2, $3, $4, 0)`,
      [task.taskId, lsn, String(slot.timeline), String(task.fence)],
    );
    await session.query(
      `INSERT INTO _opendts.account (task_id, source_table, received, applied, folded, filtered, invisible, repeated, dead, inserts, updates, deletes)
       SELECT $1, s.key, s.value::bigint, 0, 0, s.value::bigint, 0, 0, 0, 0, 0, 0 FROM pg_catalog.json_each_text($2::json) s`,
      [task.taskId, JSON.stringify(Object.fromEntries(skipped))],
    );
  });
}

export async function isSlotRecorded(session: Session, taskId: string): Promise<boolean> {
  const { yes } = await session.one(
    'SELECT (slot_lsn IS NOT NULL)::text AS yes FROM _opendts.task WHERE task_id = $1',
    [taskId],
  );
  return yes === 'true';
}

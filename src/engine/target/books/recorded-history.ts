/** What of the source's history the target has: which timeline, and how far (data-plane P10). */
import { parseLsn, type Lsn } from '../../change/lsn.ts';
import type { Session } from '../../pg/session.ts';
import { holdFence } from './task-row.ts';

/** The source has failed over: what is recorded lies on this timeline too, and what follows is of it. */
export async function recordTimeline(
  session: Session,
  task: { taskId: string; fence: bigint },
  timeline: number,
): Promise<void> {
  await session.transaction(async () => {
    await holdFence(session, task.taskId, task.fence);
    await session.query('UPDATE _opendts.lane SET timeline = $2 WHERE task_id = $1', [
      task.taskId,
      String(timeline),
    ]);
  });
}

/** What of the source's history the target has: nothing that is recorded lies on another timeline, or behind `newest` (P10). */
export async function recordedHistory(
  session: Session,
  taskId: string,
): Promise<{ timeline: number; newest: Lsn }> {
  const row = await session.one(
    // A later snapshot may have seen all that was written up to its R.
    `SELECT (SELECT max(timeline)::text FROM _opendts.lane WHERE task_id = $1) AS timeline, p.newest::text AS newest
       FROM (SELECT end_lsn AS newest FROM _opendts.lane WHERE task_id = $1
             UNION ALL SELECT read_until FROM _opendts.copy_chunk WHERE task_id = $1 AND read_until IS NOT NULL) p
      ORDER BY p.newest DESC LIMIT 1`,
    [taskId],
  );
  return { timeline: Number(row.timeline), newest: parseLsn(row.newest ?? '') };
}

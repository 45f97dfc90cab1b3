/** The lanes' rows in the books: how far each is, and which tables it is ahead for while the others have not committed yet. */
import { AppError } from '../../../base/errors/app-error.ts';
import { parseLsn, type Lsn } from '../../change/lsn.ts';
import type { QualifiedName } from '../../change/relation.ts';
import type { Session } from '../../pg/session.ts';
import { holdFence, raising } from './task-row.ts';

/** A table that has more than the first lane's position says. */
export interface Ahead {
  readonly table: QualifiedName;
  readonly endLsn: Lsn;
}

export interface LaneRows {
  /** The first lane's position: everything before it is applied to every table. */
  readonly recorded: Lsn;
  /** By lane: how often its row was written. */
  readonly writes: readonly bigint[];
  readonly ahead: readonly Ahead[];
}

export const NOT_AHEAD = '[]';

/** Source tables as a lane's row keeps them. */
export function aheadText(tables: readonly QualifiedName[]): string {
  return JSON.stringify(tables.map(({ schema, name }) => [schema, name]));
}

/**
 * Reads them all, making those that are missing up to `lanes`. What lanes that were opened before have begun cannot commit from here on:
 * a commit whose answer was lost is in what is read, or never comes. Throws FENCED when the task has another owner.
 */
export async function takeLaneRows(
  session: Session,
  { taskId, fence, lanes }: { taskId: string; fence: bigint; lanes: number },
): Promise<LaneRows> {
  const rows = await raising(session, { taskId, held: ['lane'] }, async () => {
    await holdFence(session, taskId, fence);
    await session.query(
      `INSERT INTO _opendts.lane (task_id, lane, end_lsn, timeline, fence, commits)
       SELECT f.task_id, g.lane, f.end_lsn, f.timeline, f.fence, 0 FROM _opendts.lane f, pg_catalog.generate_series(1, $2::int - 1) g(lane)
        WHERE f.task_id = $1 AND f.lane = 0 ON CONFLICT DO NOTHING`,
      [taskId, String(lanes)],
    );
    return session.query(
      `WITH taken AS (UPDATE _opendts.lane SET writes = writes + 1 WHERE task_id = $1 AND fence = $2 RETURNING lane, end_lsn, writes, ahead)
       SELECT lane, end_lsn, writes, ahead FROM taken ORDER BY lane`,
      [taskId, String(fence)],
    );
  });
  const [first] = rows;
  if (!first) throw new AppError('FENCED', { theirs: 'another', ours: fence });
  const recorded = parseLsn(first.end_lsn ?? '');
  return {
    recorded,
    writes: rows.map((row) => BigInt(row.writes ?? '0')),
    ahead: rows.flatMap((row) => {
      const endLsn = parseLsn(row.end_lsn ?? '');
      if (endLsn <= recorded) return [];
      const tables = JSON.parse(row.ahead ?? NOT_AHEAD) as [string, string][];
      return tables.map(([schema, name]): Ahead => ({ table: { schema, name }, endLsn }));
    }),
  };
}

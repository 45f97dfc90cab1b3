/** What the books on the target are about to say, or said, since the task came to a halt. */
import { z } from 'zod';
import type { Db } from '../store.ts';

/** False when somebody else has the task by now. */
export async function setHaltMark(
  db: Db,
  { taskId, fence, mark }: { taskId: string; fence: string; mark: string },
): Promise<boolean> {
  const rows = await db.query(
    z.unknown(),
    'UPDATE opendts.task SET halt_mark = $3 WHERE id = $1 AND fence = $2::bigint RETURNING id',
    [taskId, fence, mark],
  );
  return rows.length > 0;
}

/** The tasks of a group with that id or name: names are not unique. */
import type { Db } from '../store.ts';
import { TASK_COLUMNS, taskRow, type StoredTask } from './task-row.ts';

/** At most two: more than one is too many. Locked, where it is to be changed. */
export async function findTasksNamed(
  db: Db,
  groupId: string,
  { idOrName, lock = false }: { readonly idOrName: string; readonly lock?: boolean },
): Promise<StoredTask[]> {
  return db.query(
    taskRow,
    `SELECT ${TASK_COLUMNS} FROM opendts.task t
      WHERE t.group_id = $1 AND (t.id::text = $2 OR t.name = $2) ORDER BY (t.id::text = $2) DESC LIMIT 2
      ${lock ? 'FOR UPDATE OF t' : ''}`,
    [groupId, idOrName],
  );
}

/** Tasks that came to a halt: who lets one go on must know of it, or works from a memory that is older than the books. */
import type { Session } from '../../pg/session.ts';

/** The mark of the last halt; null: none since the task last ran. Books of an older version have none either. */
export async function readHalt(session: Session, taskId: string): Promise<string | null> {
  const { there } = await session.one(
    "SELECT pg_catalog.to_regclass('_opendts.halted') IS NOT NULL AS there",
  );
  if (there !== 't') return null;
  const [row] = await session.query('SELECT mark FROM _opendts.halted WHERE task_id = $1', [taskId]);
  return row?.mark ?? null;
}

/** Null: it goes on. In the transaction that raises the fence. */
export async function writeHalt(session: Session, taskId: string, mark: string | null): Promise<void> {
  await session.query('DELETE FROM _opendts.halted WHERE task_id = $1', [taskId]);
  if (mark !== null)
    await session.query('INSERT INTO _opendts.halted (task_id, mark) VALUES ($1, $2)', [taskId, mark]);
}

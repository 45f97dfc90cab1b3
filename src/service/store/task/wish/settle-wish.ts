/** A wish for a table is done, or cannot be: its timeline says so, and it is gone. */
import { z } from 'zod';
import { AppError } from '../../../../base/errors/app-error.ts';
import type { Store } from '../../store.ts';
import { noteEvent, type Note } from '../event/note-event.ts';
import type { StoredWish } from './list-wishes.ts';

/** Not one that was asked for since. Throws FENCED, and the wish stays for the owner of now, where somebody else has the task. */
export async function settleWish(
  store: Pick<Store, 'transaction'>,
  { name, askedAt }: StoredWish,
  note: Note,
): Promise<void> {
  await store.transaction(async (db) => {
    if (!(await noteEvent(db, note))) throw new AppError('FENCED', { theirs: 'newer', ours: note.fence });
    await db.query(
      z.unknown(),
      'DELETE FROM opendts.task_table_wish WHERE task_id = $1 AND name = $2 AND asked_at = $3::timestamptz',
      [note.taskId, name, askedAt],
    );
  });
}

/** What persons want for single tables of a task, done in the books on the target, where the run sees it within a second or two. */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import type { TableWish } from '../../contract/api/task-tables.ts';
import { connect } from '../../engine/pg/connect.ts';
import type { ConnInfo } from '../../engine/pg/conninfo/conninfo.ts';
import type { Session } from '../../engine/pg/session.ts';
import type { TableChoice } from '../../engine/target/books/stopped-tables.ts';
import { deleteWish } from '../store/task/delete-wish.ts';
import { listWishes } from '../store/task/list-wishes.ts';
import { chooseForStopped } from '../task/stopped.ts';
import type { Owned } from './owner.ts';
import type { Reporter } from './reporter.ts';

/** A table that has stopped goes on or is copied anew; one that runs cannot be stopped by a wish. */
const CHOICES: Readonly<Partial<Record<TableWish, TableChoice>>> = { resume: 'retry', recopy: 'recopy' };

export async function grantWishes(owned: Owned, target: ConnInfo, reporter: Reporter): Promise<void> {
  const { parts, task } = owned;
  const wishes = await listWishes(parts.store, task.id);
  if (wishes.length === 0 || task.engineTaskId === null) return;
  await using session = await connect(target, { side: 'target', applicationName: 'opendts:tables' });
  for (const wish of wishes) {
    const facts = { table: wish.name, wish: wish.wish };
    try {
      await choose(session, task.engineTaskId, wish);
      reporter.note('table-chosen', facts);
    } catch (thrown) {
      const { code, message } = toAppError(thrown);
      if (code === 'CONNECTION_LOST') throw thrown;
      reporter.note('table-not-chosen', { ...facts, code, message });
    }
    await deleteWish(parts.store, task.id, wish);
  }
}

async function choose(
  session: Session,
  engineTaskId: string,
  { name, wish }: { readonly name: string; readonly wish: TableWish },
): Promise<void> {
  const choice = CHOICES[wish];
  if (choice === undefined)
    throw new AppError('USAGE', {
      problem: `A table that runs cannot be made to "${wish}".`,
      remedy: 'Pause the task.',
    });
  await chooseForStopped(session, { taskId: engineTaskId, table: name, choice });
}

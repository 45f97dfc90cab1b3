/** What persons want for single tables of a task, done in the books on the target, where the run sees it within a second or two. */
import { toAppError } from '../../base/errors/app-error.ts';
import { connect } from '../../engine/pg/connect.ts';
import type { ConnInfo } from '../../engine/pg/conninfo/conninfo.ts';
import { deleteWish } from '../store/task/wish/delete-wish.ts';
import { listWishes } from '../store/task/wish/list-wishes.ts';
import { choicesOf } from '../task/stopped.ts';
import type { Owned } from './owner.ts';
import type { Reporter } from './reporter.ts';

export async function grantWishes(owned: Owned, target: ConnInfo, reporter: Reporter): Promise<void> {
  const { parts } = owned;
  const wishes = await listWishes(parts.store, owned.task.id);
  if (wishes.length === 0) return;
  // What the run reports, its books on the target among it, does not change the task.
  const task = owned.task.engineTaskId === null ? await owned.refresh() : owned.task;
  if (task.engineTaskId === null) return;
  await using session = await connect(target, { side: 'target', applicationName: 'opendts:tables' });
  const choose = await choicesOf(session, task.engineTaskId);
  for (const wish of wishes) {
    const facts = { table: wish.name, wish: wish.wish };
    try {
      const choice = wish.wish === 'resume' ? 'retry' : wish.wish;
      await choose({ table: wish.name, choice, at: wish.askedAt });
      reporter.note('table-chosen', facts);
    } catch (thrown) {
      const { code, message } = toAppError(thrown);
      if (code === 'CONNECTION_LOST') throw thrown;
      reporter.note('table-not-chosen', { ...facts, code, message });
    }
    await deleteWish(parts.store, task.id, wish);
  }
}

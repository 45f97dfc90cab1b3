/** What persons want for single tables of a task, done in the books on the target, where the run sees it within a second or two. */
import { toAppError, type AppError } from '../../base/errors/app-error.ts';
import { connect } from '../../engine/pg/connect.ts';
import type { ConnInfo } from '../../engine/pg/conninfo/conninfo.ts';
import { listWishes, type StoredWish } from '../store/task/wish/list-wishes.ts';
import { settleWish } from '../store/task/wish/settle-wish.ts';
import { choicesOf } from '../task/stopped.ts';
import type { Owned } from './owner.ts';
import { patiently } from './patiently.ts';

/** Throws FENCED, and leaves them to the owner of now, where somebody else has the task. */
export async function grantWishes(owned: Owned, target: ConnInfo): Promise<void> {
  const { parts } = owned;
  const wishes = await listWishes(parts.store, owned.task.id);
  if (wishes.length === 0) return;
  // What the run reports, its books on the target among it, does not change the task.
  const task = owned.task.engineTaskId === null ? await owned.refresh() : owned.task;
  if (task.engineTaskId === null) return;
  await using session = await connect(target, { side: 'target', applicationName: 'opendts:tables' });
  const choose = await choicesOf(session, task.engineTaskId);
  for (const wish of wishes) {
    const refused = await refusalOf(() =>
      choose({ table: wish.name, choice: choiceOf(wish), at: wish.askedAt }),
    );
    await settle(owned, wish, refused);
  }
}

function choiceOf({ wish }: StoredWish) {
  return wish === 'resume' ? 'retry' : wish;
}

/** Null where it is done. Throws where it may still be done. */
async function refusalOf(work: () => Promise<unknown>): Promise<AppError | null> {
  try {
    await work();
    return null;
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code === 'CONNECTION_LOST') throw thrown;
    return error;
  }
}

async function settle(
  { parts, task, leaving }: Owned,
  wish: StoredWish,
  refused: AppError | null,
): Promise<void> {
  const kind = refused === null ? 'table-chosen' : 'table-not-chosen';
  const why = refused === null ? {} : { code: refused.code, message: refused.message };
  const note = {
    taskId: task.id,
    fence: task.fence,
    kind,
    facts: { table: wish.name, wish: wish.wish, ...why },
  };
  await patiently(leaving, () => settleWish(parts.store, wish, note));
}

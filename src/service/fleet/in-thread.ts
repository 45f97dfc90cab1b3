/** Runs a task's work in a thread of its own, for as long as the task is ours and wants it. */
import type { StoredTask } from '../store/task/task-row.ts';
import { AppError } from '../../base/errors/app-error.ts';
import { limitsAt } from '../task/blackout.ts';
import type { Owned } from './owner.ts';
import type { Outcome, ThreadWork } from './thread/messages.ts';
import { TaskWork, type TaskEvents } from './thread/task-work.ts';

/** A thread that does not come to a safe point is ended as a dead process would be, which it survives as well. */
const STOP_MS = 60_000;

/** So late at most after the minute begins in which other limits hold. */
const LIMITS_MS = 10_000;

/** In these somebody waits for the work to end. */
const ENDING: ReadonlySet<StoredTask['state']> = new Set(['pausing', 'stopping']);

/**
 * Throws what the work has thrown; FENCED where the task was lost. A stop that was asked for is no error: the work ends at a safe point, and
 * null comes back where it had to be killed.
 */
export async function inThread(owned: Owned, work: ThreadWork, events: TaskEvents): Promise<Outcome | null> {
  const { task, leaving, lost } = owned;
  const { failpoint, store } = owned.parts;
  const lenders =
    store.address === null ? null : { address: store.address, taskId: task.id, fence: task.fence };
  const thread = new TaskWork({ work, lenders, failpoint }, events);
  const killed = Promise.withResolvers<null>();
  let timer: NodeJS.Timeout | null = null;
  const kill = () => {
    killed.resolve(null);
    void thread.kill();
  };
  const stop = () => {
    thread.tell({ kind: 'stop' });
    timer ??= setTimeout(kill, STOP_MS).unref();
  };
  let told = '';
  const limit = () => {
    const wanted = limitsAt(owned.task, new Date());
    const text = JSON.stringify(wanted);
    if (text === told) return;
    told = text;
    thread.tell({ kind: 'limits', ...wanted });
  };
  const limiting = setInterval(limit, LIMITS_MS).unref();
  owned.onChange((now) => {
    if (ENDING.has(now.state)) stop();
    else limit();
  });
  leaving.addEventListener('abort', stop);
  lost.addEventListener('abort', kill);
  if (lost.aborted) kill();
  if (leaving.aborted || ENDING.has(task.state)) stop();
  try {
    const outcome = await Promise.race([thread.ended, killed.promise]);
    if (lost.aborted) throw new AppError('FENCED', { theirs: 'newer', ours: task.fence });
    return outcome;
  } finally {
    clearInterval(limiting);
    if (timer !== null) clearTimeout(timer);
    leaving.removeEventListener('abort', stop);
    lost.removeEventListener('abort', kill);
    owned.onChange(null);
    thread.ended.catch(() => {});
    await thread.kill();
  }
}

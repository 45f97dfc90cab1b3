/** What the owner of a task does, state by state. */
import { throughout } from '../../base/tracing/span.ts';
import type { StoredTask } from '../store/task/task-row.ts';
import { checkTask } from './check-task.ts';
import { isBeingRecovered, migrateTask } from './migrate-task.ts';
import type { Owned, Step } from './owner.ts';
import { releaseTask } from './release-task.ts';
import { halt } from './halt.ts';
import { spanOfTask } from './task-span.ts';

export const runTask: Step = async (owned) => {
  const { task } = owned;
  switch (task.state) {
    case 'prechecking':
      return told(owned, 'precheck', () => checkTask(owned));
    case 'prechecked':
      return task.desired === 'running' && begin(owned);
    case 'migrating':
    case 'running':
      return begin(owned);
    case 'retrying':
    case 'failed':
      return isDue(task, owned.now()) && begin(owned);
    case 'pausing':
      return told(owned, 'pause', async () => {
        await halt(owned);
        await owned.go('paused');
      });
    case 'stopping':
      return told(owned, 'stop', async () => {
        await halt(owned);
        await owned.go('stopped');
      });
    case 'releasing':
      return told(owned, 'release', () => releaseTask(owned));
    case 'not-configured':
    case 'not-started':
    case 'precheck-failed':
    case 'paused':
    case 'stopped':
    case 'completed':
    case 'release-failed':
    case 'released':
      return false;
  }
};

/** `start` where it was not begun, `recover` where it has failed, else `run`: it goes on. */
function begin(owned: Owned): Promise<boolean> {
  const { state } = owned.task;
  const what = state === 'prechecked' ? 'start' : isBeingRecovered(owned.task) ? 'recover' : 'run';
  return told(owned, what, () => migrateTask(owned));
}

async function told(owned: Owned, what: string, work: () => Promise<void>): Promise<true> {
  const { parts, task } = owned;
  await throughout(spanOfTask(parts, `task ${what}`, task.id, task.state), work);
  return true;
}

/** A task that has failed is a person's, unless it is to recover by itself. */
function isDue({ state, stoppedBy, nextAttemptAt }: StoredTask, nowMs: number): boolean {
  if (nextAttemptAt === null) return state === 'retrying';
  return Date.parse(nextAttemptAt) <= nowMs && (state === 'retrying' || stoppedBy === 'failure');
}

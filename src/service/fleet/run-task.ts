/** What the owner of a task does, state by state. */
import type { StoredTask } from '../store/task/task-row.ts';
import { checkTask } from './check-task.ts';
import { migrateTask } from './migrate-task.ts';
import type { Owned, Step } from './owner.ts';
import { releaseTask } from './release-task.ts';
import { halt } from './halt.ts';

export const runTask: Step = async (owned) => {
  const { task } = owned;
  switch (task.state) {
    case 'prechecking':
      await checkTask(owned);
      return true;
    case 'prechecked':
      return task.desired === 'running' && begin(owned);
    case 'migrating':
    case 'running':
      return begin(owned);
    case 'retrying':
    case 'failed':
      return isDue(task, owned.now()) && begin(owned);
    case 'pausing':
      await halt(owned);
      await owned.go('paused');
      return true;
    case 'stopping':
      await halt(owned);
      await owned.go('stopped');
      return true;
    case 'releasing':
      await releaseTask(owned);
      return true;
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

async function begin(owned: Owned): Promise<boolean> {
  await migrateTask(owned);
  return true;
}

/** A task that has failed is a person's, unless it is to recover by itself. */
function isDue({ state, stoppedBy, nextAttemptAt }: StoredTask, nowMs: number): boolean {
  if (nextAttemptAt === null) return state === 'retrying';
  return Date.parse(nextAttemptAt) <= nowMs && (state === 'retrying' || stoppedBy === 'failure');
}

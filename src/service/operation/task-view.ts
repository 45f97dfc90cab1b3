/** Tasks as the API shows them, and finding the one that is meant. */
import { AppError } from '../../base/errors/app-error.ts';
import type { PersonEvent } from '../../contract/api/task-states.ts';
import type { Answer } from '../../contract/api/operations.ts';
import { effectiveRetry } from '../store/task/owner/effective-retry.ts';
import { findTasksNamed } from '../store/task/find-tasks-named.ts';
import { readProgress } from '../store/task/progress/read-progress.ts';
import type { StoredTask } from '../store/task/task-row.ts';
import type { Db } from '../store/store.ts';
import { findWorker } from '../store/worker/find-worker.ts';
import { possibleIn } from '../task-life/states.ts';
import { callerOf, groupOf, type Context } from './context.ts';

export type ShownTask = Answer<'task.show'>;

/** One of the group, noted for the audit log. `lock`: nobody changes it until we have. Throws NOT_FOUND or TASK_AMBIGUOUS. */
export async function foundTask(
  context: Context,
  idOrName: string,
  { lock = false } = {},
): Promise<StoredTask> {
  const [task, other] = await findTasksNamed(context.db, groupOf(context).id, { idOrName, lock });
  if (task === undefined) throw new AppError('NOT_FOUND', { kind: 'task', name: idOrName });
  // A name may be another task's id; the id is the one that is meant.
  if (other !== undefined && task.id !== idOrName) throw new AppError('TASK_AMBIGUOUS', { name: idOrName });
  Object.assign(context.trace, { objectId: task.id, objectName: task.name });
  return task;
}

/** Who asks, for the timeline. */
export function doerOf(context: Context): { accountId: string; accountName: string; workerId: null } {
  const { id, name } = callerOf(context);
  return { accountId: id, accountName: name, workerId: null };
}

export async function shownTask(db: Db, task: StoredTask): Promise<ShownTask> {
  const progress = await readProgress(db, task.id);
  const worker = task.workerId === null ? null : await findWorker(db, task.workerId);
  const latest = await effectiveRetry(db, task.id);
  const own = { connectMinutes: task.retryConnectMinutes, otherMinutes: task.retryOtherMinutes };
  const effective = latest
    ? { connectMinutes: latest.connectMinutes, otherMinutes: latest.otherMinutes, task: latest.taskName }
    : { ...own, task: task.name };
  const end = (id: string | null, name: string | null) => (id === null ? null : { id, name: name ?? '' });
  return {
    id: task.id,
    name: task.name,
    state: task.state,
    stateSince: task.stateSince,
    startAt: task.startAt,
    desired: task.desired,
    possible: possible(task),
    source: end(task.sourceConnection, task.sourceName),
    target: end(task.targetConnection, task.targetName),
    spec: task.spec,
    taskGroup: task.taskGroup,
    class: task.class,
    environment: task.environment,
    cluster: task.cluster,
    blackout: task.blackout,
    retry: { ...own, setAt: task.retrySetAt, effective },
    failure: task.failure,
    failedSince: task.failedSince,
    attempts: task.attempts,
    nextAttemptAt: task.nextAttemptAt,
    stoppedBy: task.stoppedBy,
    adjustments: task.adjustments,
    worker: task.workerId === null ? null : { id: task.workerId, name: worker?.name ?? null },
    engineTaskId: task.engineTaskId,
    progress: progress?.body ?? null,
    progressAt: progress?.at ?? null,
    notes: [...shortRetries(own), ...otherRetries(task, latest?.taskId, effective)],
    startedAt: task.startedAt,
    endedAt: task.endedAt,
    version: task.version,
    createdBy: task.createdBy,
    createdAt: task.createdAt,
    updatedAt: task.updatedAt,
  };
}

/** One that is to start later can be kept from it. */
function possible({ state, startAt }: StoredTask): PersonEvent[] {
  const events = possibleIn(state);
  return startAt === null || events.includes('stop') ? events : [...events, 'stop'];
}

interface Minutes {
  readonly connectMinutes: number;
  readonly otherMinutes: number;
}

/** Below what is advised (E3). */
function shortRetries({ connectMinutes, otherMinutes }: Minutes): string[] {
  return [
    ...(connectMinutes < 30
      ? [
          `servers that cannot be reached are tried again for ${connectMinutes} min only; 30 or more are advised`,
        ]
      : []),
    ...(otherMinutes < 10
      ? [`what fails otherwise is tried again for ${otherMinutes} min only; 10 or more are advised`]
      : []),
  ];
}

function otherRetries(
  task: StoredTask,
  from: string | undefined,
  effective: Minutes & { task: string },
): string[] {
  if (from === undefined || from === task.id) return [];
  const { connectMinutes, otherMinutes } = effective;
  if (connectMinutes === task.retryConnectMinutes && otherMinutes === task.retryOtherMinutes) return [];
  return [
    `task "${effective.task}" shares a database and was set later: its ${connectMinutes} and ${otherMinutes} min count`,
  ];
}

/** What the audit log keeps of a task. */
export function briefly({
  name,
  state,
  spec,
  sourceName,
  targetName,
  taskGroup,
  version,
}: StoredTask): object {
  return { name, state, source: sourceName, target: targetName, taskGroup, spec, version };
}

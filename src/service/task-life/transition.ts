/** A task goes on in its life: the table of states.ts is asked, the store changed, the timeline written, and whoever listens told. */
import { AppError } from '../../base/errors/app-error.ts';
import type { PersonEvent, TaskState } from '../../contract/api/task-states.ts';
import { changeState, type Doer, type TaskChange } from '../store/task/change-state.ts';
import { findTask } from '../store/task/find-task.ts';
import type { StoredTask } from '../store/task/task-row.ts';
import type { Db } from '../store/store.ts';
import { desiredAfter, nextState, possibleIn, type TaskEvent } from './states.ts';

export interface Transition {
  readonly event: TaskEvent;
  /** A worker names the fence under which it has the task: with an older one nothing is changed. */
  readonly by: { readonly account: { readonly id: string; readonly name: string } } | Owner | 'service';
  /** For the timeline. Never values of rows, never secrets. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** What else of the task changes with it. */
  readonly set?: TaskChange;
}

/** Who runs a task. */
export interface Owner {
  readonly workerId: string;
  readonly fence: string;
}

/**
 * Gives the task as it is then. In one statement, so that it may stand alone or in a transaction. Throws TASK_STATE_REFUSES (which says
 * what is possible), FENCED, or NOT_FOUND.
 */
export async function transition(db: Db, taskId: string, step: Transition): Promise<StoredTask> {
  const fence = typeof step.by === 'object' && 'fence' in step.by ? step.by.fence : null;
  for (;;) {
    const task = await findTask(db, taskId);
    if (task === null) throw new AppError('NOT_FOUND', { kind: 'task', name: taskId });
    if (fence !== null && task.fence !== fence)
      throw new AppError('FENCED', { theirs: task.fence, ours: fence });
    const to = nextState(task.state, step.event);
    // A task that is deleted has no row to change.
    if (to === null || to === 'deleted') throw refusal(task, step.event);
    const changed = await changeState(db, {
      id: taskId,
      from: task.state,
      to,
      desired: desiredAfter(task.desired, step.event, to),
      fence,
      kind: step.event,
      by: doer(step.by),
      facts: step.facts ?? {},
      set: {
        ...consequences(step.event, to, task),
        ...(CALLS_OFF.has(step.event) ? { startAt: null } : {}),
        ...step.set,
      },
    });
    // Somebody was quicker: what is possible now?
    if (changed !== null) return changed;
  }
}

/** What the state of a task refuses, an event of the table or another wish, and what it would take instead. */
export function refusal(
  { name, state }: { readonly name: string; readonly state: TaskState },
  event: string,
): AppError {
  return new AppError('TASK_STATE_REFUSES', {
    task: name,
    state,
    event,
    possible: inWords(possibleIn(state)),
  });
}

function inWords(events: readonly PersonEvent[]): string {
  return events.length === 0 ? 'wait until it has come to the next state' : events.join(', ');
}

function doer(by: Transition['by']): Doer {
  if (by === 'service') return { accountId: null, accountName: null, workerId: null };
  return 'account' in by
    ? { accountId: by.account.id, accountName: by.account.name, workerId: null }
    : { accountId: null, accountName: null, workerId: by.workerId };
}

const GOES_ON: ReadonlySet<TaskEvent> = new Set<TaskEvent>(['start', 'resume', 'precheck']);
/** A start that was planned is off. */
const CALLS_OFF: ReadonlySet<TaskEvent> = new Set<TaskEvent>(['start', 'stop', 'release', 'reset']);
const ENDS: ReadonlySet<TaskEvent> = new Set<TaskEvent>(['stopped', 'released']);

/** Who stopped it, what failed, and when it began and ended follow from where it goes. */
function consequences(event: TaskEvent, to: TaskState, task: StoredTask): TaskChange {
  const now = new Date().toISOString();
  const gone = { failure: null, failedSince: null, attempts: 0, nextAttemptAt: null };
  if (GOES_ON.has(event)) return { stoppedBy: null, endedAt: null, ...gone };
  if (event === 'began') return { startedAt: task.startedAt ?? now, endedAt: null, stoppedBy: null };
  if (event === 'in-step') return gone;
  if (event === 'completed') return { ...gone, endedAt: now };
  if (event === 'failed') return { stoppedBy: task.stoppedBy ?? 'failure', endedAt: now };
  if (event === 'pause' || event === 'stop' || event === 'release')
    return { stoppedBy: 'person', nextAttemptAt: null, ...(to === 'stopped' ? { endedAt: now } : {}) };
  return ENDS.has(event) ? { endedAt: now } : {};
}

/** What of a task may be changed when. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '../../base/errors/app-error.ts';
import type { TaskState } from '../../contract/api/task-states.ts';
import type { TaskSettings } from '../../contract/task-spec.ts';
import type { StoredTask } from '../store/task/task-row.ts';
import { nextState } from './states.ts';
import { refusal } from './transition.ts';

/** What a task has made does not depend on these: limits hold at once, the others from its next run on. */
const FREE = new Set([
  'throttle',
  'streamThrottle',
  'protect',
  'walBudget',
  'chunkMegabytes',
  'slotWait',
  'jobs',
  'lanes',
  'ddl',
  'strict',
]);

/** Has begun, and goes on or can go on. */
const LIVE: ReadonlySet<TaskState> = new Set<TaskState>([
  'prechecking',
  'migrating',
  'running',
  'retrying',
  'pausing',
  'paused',
  'failed',
  'stopped',
]);

/** A task as it is to be. */
export interface Wanted {
  readonly sourceConnection: string | null;
  readonly targetConnection: string | null;
  readonly spec: TaskSettings;
}

/** The state that a task has once it is as wanted. Throws TASK_STATE_REFUSES, or TASK_BEGUN which names the fields. */
export function stateWhenConfigured(task: StoredTask, wanted: Wanted): TaskState {
  const fixed = changedFields(task, wanted).filter((field) => !FREE.has(field));
  if (nextState(task.state, 'configure') === null) {
    requireLive(task, 'configure');
    if (fixed.length > 0) throw new AppError('TASK_BEGUN', { task: task.name, fields: fixed.join(', ') });
  }
  if (fixed.length === 0) return task.state;
  const isWhole = wanted.sourceConnection !== null && wanted.targetConnection !== null;
  return isWhole ? 'not-started' : 'not-configured';
}

/** Throws TASK_STATE_REFUSES where nothing runs, or will, that a limit could hold for. */
export function requireLimitable(task: StoredTask): void {
  if (nextState(task.state, 'configure') === null) requireLive(task, 'throttle');
}

function requireLive(task: StoredTask, event: string): void {
  if (!LIVE.has(task.state)) throw refusal(task, event);
}

/** Names of what is to become different: fields of the spec, `source`, `target`. */
export function changedFields(task: Wanted, wanted: Wanted): string[] {
  const fields = [
    ...new Set([...Object.keys(task.spec), ...Object.keys(wanted.spec)]),
  ] as (keyof TaskSettings)[];
  return [
    ...(task.sourceConnection === wanted.sourceConnection ? [] : ['source']),
    ...(task.targetConnection === wanted.targetConnection ? [] : ['target']),
    ...fields.filter((field) => !isDeepStrictEqual(task.spec[field], wanted.spec[field])),
  ];
}

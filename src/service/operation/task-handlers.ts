/** What the operations on making and changing tasks do. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '../../base/errors/app-error.ts';
import { id as anyId, moment } from '../../contract/api/fields.ts';
import type { TASK_OPERATIONS } from '../../contract/api/task-operations.ts';
import { assertTypeNames } from '../../engine/schema/rewrite/type-name.ts';
import { requireConnection } from '../connection/saved-connections.ts';
import { deleteTask } from '../store/task/delete-task.ts';
import { insertTask, type TaskFields } from '../store/task/insert-task.ts';
import { listTasks } from '../store/task/list-tasks.ts';
import type { StoredTask } from '../store/task/task-row.ts';
import { updateTask } from '../store/task/update-task.ts';
import { changedFields, requireLimitable, stateWhenConfigured } from '../task-life/editing.ts';
import { nextState } from '../task-life/states.ts';
import { refusal } from '../task-life/transition.ts';
import { groupOf, type Context, type Handlers } from './context.ts';
import { listPage } from './pages.ts';
import { briefly, doerOf, foundTask, shownTask, type ShownTask } from './task-view.ts';

export const TASK_HANDLERS: Handlers<keyof typeof TASK_OPERATIONS> = {
  'task.create': async (context, input) => {
    const { connectMinutes, otherMinutes } = input;
    requireOrder(connectMinutes, otherMinutes);
    await assertTypeNames(input.spec.columnTypes);
    return make(context, {
      name: input.name,
      taskGroup: input.taskGroup,
      sourceConnection: await connectionId(context, input.source, null),
      targetConnection: await connectionId(context, input.target, null),
      spec: input.spec,
      class: input.class,
      environment: input.environment,
      cluster: input.cluster,
      blackout: input.blackout,
      retryConnectMinutes: connectMinutes,
      retryOtherMinutes: otherMinutes,
    });
  },

  'task.list': (context, input) => {
    const { state = null, taskGroup = null, name = null } = input;
    const groupId = groupOf(context).id;
    return listPage(input, (page) => listTasks(context.db, { groupId, state, taskGroup, name, ...page }), {
      key: ({ place }) => place,
      show: (line) => line,
      like: isPlace,
    });
  },

  'task.show': async (context, input) => shownTask(context.db, await foundTask(context, input.task)),

  'task.configure': async (context, input) => {
    const before = await foundTask(context, input.task, { lock: true });
    const wanted = {
      ...fieldsOf(before),
      sourceConnection: await connectionId(context, input.source, before.sourceConnection),
      targetConnection: await connectionId(context, input.target, before.targetConnection),
      spec: input.spec ?? before.spec,
      taskGroup: input.taskGroup === undefined ? before.taskGroup : input.taskGroup,
      class: input.class ?? before.class,
      environment: input.environment === undefined ? before.environment : input.environment,
      cluster: input.cluster === undefined ? before.cluster : input.cluster,
      blackout: input.blackout ?? before.blackout,
    };
    await assertTypeNames(wanted.spec.columnTypes);
    const state = stateWhenConfigured(before, wanted);
    const labels = LABELS.filter((label) => !isDeepStrictEqual(before[label], wanted[label]));
    const changed = [...changedFields(before, wanted), ...labels];
    return change(context, {
      before,
      wanted,
      version: input.version,
      kind: 'configured',
      facts: { changed },
      state,
    });
  },

  'task.rename': async (context, input) => {
    const before = await foundTask(context, input.task, { lock: true });
    const facts = { from: before.name, to: input.name };
    const wanted = { ...fieldsOf(before), name: input.name };
    return change(context, { before, wanted, version: input.version, kind: 'renamed', facts });
  },

  'task.clone': async (context, input) => {
    const original = await foundTask(context, input.task);
    const name = input.name ?? `copy of ${original.name}`.slice(0, 100).trimEnd();
    return make(context, { ...fieldsOf(original), name }, { cloneOf: original.id });
  },

  'task.delete': async (context, input) => {
    const before = await foundTask(context, input.task, { lock: true });
    context.trace.before = briefly(before);
    if (nextState(before.state, 'delete') === null) throw refusal(before, 'delete');
    if (!(await deleteTask(context.db, before.id, input.version)))
      throw changedMeanwhile(before, input.version);
    return {};
  },

  'task.throttle': async (context, input) => {
    const before = await foundTask(context, input.task, { lock: true });
    requireLimitable(before);
    const { throttle, streamThrottle } = input;
    const wanted = { ...fieldsOf(before), spec: { ...before.spec, throttle, streamThrottle } };
    const facts = { throttle, streamThrottle };
    return change(context, { before, wanted, version: input.version, kind: 'throttled', facts });
  },

  'task.setRetry': async (context, input) => {
    const before = await foundTask(context, input.task, { lock: true });
    const { connectMinutes, otherMinutes } = input;
    requireOrder(connectMinutes, otherMinutes);
    const wanted = {
      ...fieldsOf(before),
      retryConnectMinutes: connectMinutes,
      retryOtherMinutes: otherMinutes,
    };
    const facts = { connectMinutes, otherMinutes };
    return change(context, {
      before,
      wanted,
      version: input.version,
      kind: 'retry-set',
      facts,
      setsRetry: true,
    });
  },
};

const LABELS = ['taskGroup', 'class', 'environment', 'cluster', 'blackout'] as const;

/** A time and an id, as the list gives them. */
function isPlace(key: string): boolean {
  const [, day = '', clock = '', place = ''] = /^(\S+) (\S+)\+00 (\S+)$/.exec(key) ?? [];
  return moment.safeParse(`${day}T${clock}Z`).success && anyId.safeParse(place).success;
}

interface Change {
  readonly before: StoredTask;
  readonly wanted: TaskFields;
  readonly version: number;
  readonly kind: string;
  readonly facts: Readonly<Record<string, unknown>>;
  /** None: it stays. */
  readonly state?: StoredTask['state'];
  readonly setsRetry?: boolean;
}

/** Throws CHANGED_MEANWHILE. */
async function change(context: Context, given: Change): Promise<ShownTask> {
  const { before, wanted, version, kind, facts, state = before.state, setsRetry = false } = given;
  // What was asked of it before is off with its settings.
  const desired = state === before.state ? before.desired : 'idle';
  const by = doerOf(context);
  context.trace.before = briefly(before);
  const task = { ...wanted, id: before.id, version, state, desired, setsRetry, kind, facts, by };
  const changed = await updateTask(context.db, task);
  if (changed === null) throw changedMeanwhile(before, version);
  context.trace.after = briefly(changed);
  return shownTask(context.db, changed);
}

/** With both ends it can be started. */
async function make(
  context: Context,
  fields: Omit<TaskFields, 'name'> & { readonly name: string | undefined },
  facts: Readonly<Record<string, unknown>> = {},
): Promise<ShownTask> {
  const id = randomUUID();
  const isWhole = fields.sourceConnection !== null && fields.targetConnection !== null;
  const made = await insertTask(context.db, {
    ...fields,
    id,
    groupId: groupOf(context).id,
    name: fields.name ?? `task-${id.slice(0, 8)}`,
    state: isWhole ? 'not-started' : 'not-configured',
    by: doerOf(context),
    facts,
  });
  Object.assign(context.trace, { objectId: made.id, objectName: made.name, after: briefly(made) });
  return shownTask(context.db, made);
}

/** None given: as it is. Throws NOT_FOUND. */
async function connectionId(
  context: Context,
  idOrName: string | undefined,
  before: string | null,
): Promise<string | null> {
  if (idOrName === undefined) return before;
  return (await requireConnection(context.db, groupOf(context).id, idOrName)).id;
}

function fieldsOf(task: StoredTask): TaskFields {
  return {
    name: task.name,
    taskGroup: task.taskGroup,
    sourceConnection: task.sourceConnection,
    targetConnection: task.targetConnection,
    spec: task.spec,
    class: task.class,
    environment: task.environment,
    cluster: task.cluster,
    blackout: task.blackout,
    retryConnectMinutes: task.retryConnectMinutes,
    retryOtherMinutes: task.retryOtherMinutes,
  };
}

/** Throws INPUT_INVALID. */
function requireOrder(connectMinutes: number, otherMinutes: number): void {
  if (otherMinutes >= connectMinutes)
    throw new AppError('INPUT_INVALID', { problem: 'otherMinutes: must be less than connectMinutes' });
}

function changedMeanwhile({ name }: StoredTask, version: number): AppError {
  return new AppError('CHANGED_MEANWHILE', { kind: 'task', name, version });
}

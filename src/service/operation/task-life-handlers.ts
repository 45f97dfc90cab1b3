/** What the operations on the life of tasks do, and on what is seen of it. */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import type { TASK_LIFE_OPERATIONS } from '../../contract/api/task-life-operations.ts';
import type { OwnerEvent, PersonEvent, TaskState } from '../../contract/api/task-states.ts';
import { taskSettings } from '../../contract/task-spec.ts';
import { clearTask } from '../store/task/clear-task.ts';
import { findPrecheck } from '../store/task/find-precheck.ts';
import { listEvents } from '../store/task/event/list-events.ts';
import { listSeries } from '../store/task/progress/list-series.ts';
import { listTables } from '../store/task/progress/list-tables.ts';
import { lockTaskGroup } from '../store/task/lock-task-group.ts';
import { putWish } from '../store/task/wish/put-wish.ts';
import { setStart } from '../store/task/set-start.ts';
import type { StoredTask } from '../store/task/task-row.ts';
import { appendEvent } from '../store/task/event/append-event.ts';
import { nextState } from '../task-life/states.ts';
import { refusal, transition } from '../task-life/transition.ts';
import { callerOf, groupOf, type Context, type Handlers } from './context.ts';
import { isNumber, listPage } from './pages.ts';
import { doerOf, foundTask, shownTask, type ShownTask } from './task-view.ts';

export const TASK_LIFE_HANDLERS: Handlers<keyof typeof TASK_LIFE_OPERATIONS> = {
  'task.precheck': (context, input) => ask(context, input.task, 'precheck'),
  'task.start': async (context, { task: idOrName, at }) => {
    const task = await foundTask(context, idOrName, { lock: true });
    return shownTask(context.db, await start(context, task, at));
  },
  'task.pause': (context, input) => ask(context, input.task, 'pause'),
  'task.resume': (context, input) => ask(context, input.task, 'resume'),
  'task.stop': async (context, input) => {
    const task = await foundTask(context, input.task, { lock: true });
    return shownTask(context.db, await stop(context, task));
  },
  'task.release': (context, { task: idOrName, dropDeadLetters, sourceGone }) =>
    ask(context, idOrName, 'release', {
      ...(dropDeadLetters ? { dropDeadLetters } : {}),
      ...(sourceGone ? { sourceGone } : {}),
    }),

  'task.reset': async (context, input) => {
    const { id } = await foundTask(context, input.task, { lock: true });
    const reset = await go(context, id, 'reset');
    const cleared = await clearTask(context.db, id, taskSettings.parse({}));
    return shownTask(context.db, cleared ?? reset);
  },

  'taskGroup.start': (context, { taskGroup, at }) =>
    askAll(context, taskGroup, (task) => start(context, task, at)),
  'taskGroup.pause': (context, { taskGroup }) =>
    askAll(context, taskGroup, ({ id }) => go(context, id, 'pause')),
  'taskGroup.stop': (context, { taskGroup }) => askAll(context, taskGroup, (task) => stop(context, task)),

  'task.checks': async (context, input) => {
    const { id } = await foundTask(context, input.task);
    const found = await findPrecheck(context.db, id);
    return { at: found?.at ?? null, precheck: found?.body ?? null };
  },

  'task.tables': async (context, input) => {
    const { id: taskId } = await foundTask(context, input.task);
    const { name = null, stage = null } = input;
    return listPage(input, (page) => listTables(context.db, { taskId, name, stage, ...page }), {
      key: (table) => table.name,
      show: ({ body, wish, updated_at: updatedAt }) => ({ ...body, wish, updatedAt }),
    });
  },

  'task.chooseForTables': async (context, { task: idOrName, tables, wish }) => {
    const task = await foundTask(context, idOrName, { lock: true });
    if (!WISHED.has(task.state)) throw refusal(task, 'choose for tables');
    const names = [...new Set(tables)];
    const chosen = await putWish(context.db, { taskId: task.id, names, wish });
    const unknown = names.find((name) => !chosen.includes(name));
    if (unknown !== undefined) throw new AppError('NOT_FOUND', { kind: 'table', name: unknown });
    const facts = { wish, tables: chosen };
    await appendEvent(context.db, { taskId: task.id, kind: 'tables-chosen', by: doerOf(context), facts });
    context.trace.after = facts;
    return { tables: chosen };
  },

  'task.events': async (context, input) => {
    const { id } = await foundTask(context, input.task);
    return listPage(input, (page) => listEvents(context.db, id, page), {
      key: (event) => event.id,
      show: (event) => event,
      like: isNumber,
    });
  },

  'task.series': async (context, input) => {
    const { id } = await foundTask(context, input.task);
    const to = input.to ?? new Date().toISOString();
    const from = input.from ?? new Date(Date.parse(to) - DAY_MS).toISOString();
    const minutes = Math.max(0, Date.parse(to) - Date.parse(from)) / 60_000;
    const everyMinutes = Math.max(1, Math.ceil(minutes / POINTS));
    return { everyMinutes, points: await listSeries(context.db, id, { from, to, everyMinutes }) };
  },
};

const DAY_MS = 86_400_000;
/** As many as a chart is wide. */
const POINTS = 1500;

/** Somebody has its tables, or will. */
const WISHED: ReadonlySet<TaskState> = new Set<TaskState>([
  'migrating',
  'running',
  'retrying',
  'paused',
  'failed',
]);

/** `facts` stand in the timeline, where its owner finds them. */
async function ask(
  context: Context,
  idOrName: string,
  event: PersonEvent,
  facts: Readonly<Record<string, unknown>> = {},
): Promise<ShownTask> {
  const { id } = await foundTask(context, idOrName, { lock: true });
  return shownTask(context.db, await go(context, id, event, facts));
}

/** What the owner would tell, where nobody has the task and it has made nothing: there is nobody to wait for. */
const AT_ONCE: Readonly<Partial<Record<TaskState, OwnerEvent>>> = { pausing: 'paused', stopping: 'stopped' };

async function go(
  context: Context,
  id: string,
  event: PersonEvent,
  facts: Readonly<Record<string, unknown>> = {},
): Promise<StoredTask> {
  const { db, trace } = context;
  const asked = await transition(db, id, { event, by: { account: callerOf(context) }, facts });
  trace.after = { state: asked.state, ...facts };
  // What stands on the target is to say so: an owner sees to it.
  if (asked.workerId !== null || asked.engineTaskId !== null) return asked;
  const told = AT_ONCE[asked.state] ?? (isUntouched(asked) ? 'released' : undefined);
  return told === undefined ? asked : transition(db, id, { event: told, by: 'service' });
}

/** Now, or by itself when it is time. Throws TASK_STATE_REFUSES, also where it is to start later and could not start now. */
async function start(context: Context, task: StoredTask, at: string | undefined): Promise<StoredTask> {
  if (at === undefined || Date.parse(at) <= Date.now()) return go(context, task.id, 'start');
  if (nextState(task.state, 'start') === null) throw refusal(task, 'start');
  return plan(context, task, new Date(at).toISOString());
}

/** One that is only to start later does not: it stays where it is. */
async function stop(context: Context, task: StoredTask): Promise<StoredTask> {
  const { id, startAt, state } = task;
  const isWaiting = startAt !== null && nextState(state, 'start') !== null;
  return isWaiting ? plan(context, task, null) : go(context, id, 'stop');
}

async function plan(context: Context, task: StoredTask, startAt: string | null): Promise<StoredTask> {
  context.trace.after = { startAt };
  return (await setStart(context.db, { id: task.id, startAt, by: doerOf(context) })) ?? task;
}

/** It is to be released, and has never begun: there is nothing of it anywhere. */
function isUntouched({ state, startedAt }: StoredTask): boolean {
  return state === 'releasing' && startedAt === null;
}

/** Each for itself: what one refuses does not keep the others. */
async function askAll(context: Context, taskGroup: string, ask: (task: StoredTask) => Promise<StoredTask>) {
  const tasks = await lockTaskGroup(context.db, groupOf(context).id, taskGroup);
  if (tasks.length === 0) throw new AppError('NOT_FOUND', { kind: 'task group', name: taskGroup });
  Object.assign(context.trace, { objectName: taskGroup });
  const items = [];
  for (const task of tasks) {
    const { id, name } = task;
    try {
      items.push({ id, name, state: (await ask(task)).state, refused: null });
    } catch (thrown) {
      const { code, message, remedy } = toAppError(thrown);
      // Before anything was changed: the transaction goes on.
      if (code !== 'TASK_STATE_REFUSES') throw thrown;
      items.push({ id, name, state: task.state, refused: { code, message, remedy } });
    }
  }
  context.trace.after = items.map(({ name, state }) => ({ name, state }));
  return { items };
}

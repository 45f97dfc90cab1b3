/** `opendts task create`, `configure`, `clone`, `rename`, `throttle`, `retry` and `delete`. */
import { AppError } from '../../../base/errors/app-error.ts';
import type { ExitCode } from '../../../base/errors/exit.ts';
import type { Asked } from '../../../contract/api/operations.ts';
import { readTaskFile } from '../../../service/task/request/task-file.ts';
import { call, tell, type Ask } from '../ask.ts';
import type { Task } from '../view/task-view.ts';
import { printable } from '../view/text.ts';
import type { TaskCommandFlags } from './flags.ts';
import { tellState } from './life.ts';

type Minutes = Pick<Task['retry'], 'connectMinutes' | 'otherMinutes'>;

export async function createTask(ask: Ask, name: string, flags: TaskCommandFlags): Promise<ExitCode> {
  const { retry, spec } = fileOf(ask, flags) ?? { retry: {}, spec: {} };
  const input = {
    group: ask.group,
    name,
    ...fieldsOf(flags),
    ...retry,
    ...retryOf(flags),
    spec: { ...spec, ...specOf(flags) },
  };
  return tellState(ask, await call(ask, 'task.create', input));
}

/** What is given changes, the rest stays; a task file says what it does as a whole. */
export async function configureTask(ask: Ask, name: string, flags: TaskCommandFlags): Promise<ExitCode> {
  let task = await find(ask, name);
  const inFile = fileOf(ask, flags);
  const fields = { ...fieldsOf(flags), ...given({ spec: changedSpec(inFile?.spec, task, flags) }) };
  const minutes = { ...inFile?.retry, ...retryOf(flags) };
  if (isEmpty(fields) && isEmpty(minutes)) throw nothingGiven('What is to change is not said.');
  const { id, version } = task;
  if (!isEmpty(fields))
    task = await call(ask, 'task.configure', { group: ask.group, task: id, version, ...fields });
  return tellState(ask, isEmpty(minutes) ? task : await changeRetry(ask, task, minutes));
}

function fieldsOf(flags: TaskCommandFlags) {
  const { source, target, class: size, taskGroup, environment, cluster } = flags;
  const blackout = flags.blackout?.filter((window) => window !== null);
  const labels = { taskGroup: label(taskGroup), environment: label(environment), cluster: label(cluster) };
  return given({ source, target, class: size, blackout, ...labels });
}

/** Limit by limit; undefined: nothing is said of it. */
function changedSpec(inFile: Asked<'task.create'>['spec'], { spec }: Task, flags: TaskCommandFlags) {
  const said = specOf(flags);
  if (inFile === undefined && isEmpty(said)) return undefined;
  const before = inFile ?? spec;
  const throttle = said.throttle && { ...before.throttle, ...said.throttle };
  const streamThrottle = said.streamThrottle && { ...before.streamThrottle, ...said.streamThrottle };
  return { ...before, ...said, ...given({ throttle, streamThrottle }) };
}

function isEmpty(some: object): boolean {
  return Object.keys(some).length === 0;
}

/** Nothing instead of a name: in none. */
function label(text: string | undefined): string | null | undefined {
  return text === '' ? null : text;
}

/** How long it is tried again. */
export async function setRetry(ask: Ask, name: string, flags: TaskCommandFlags): Promise<ExitCode> {
  const minutes = retryOf(flags);
  if (isEmpty(minutes)) throw nothingGiven('Neither --connect-minutes nor --other-minutes is given.');
  return tellState(ask, await changeRetry(ask, await find(ask, name), minutes));
}

function changeRetry(ask: Ask, { id, version, retry }: Task, minutes: Partial<Minutes>): Promise<Task> {
  const { connectMinutes, otherMinutes } = { ...retry, ...minutes };
  return call(ask, 'task.setRetry', { group: ask.group, task: id, version, connectMinutes, otherMinutes });
}

function retryOf({ connectMinutes, otherMinutes }: TaskCommandFlags) {
  return given({ connectMinutes, otherMinutes });
}

/** Null: none is given. Its ends are those of `opendts migrate`; a task of a server has saved ones. */
function fileOf(ask: Ask, { file }: TaskCommandFlags) {
  if (file === undefined) return null;
  const { source: _source, target: _target, retry, ...spec } = readTaskFile(file, ask.context.config.env);
  return { retry, spec };
}

function nothingGiven(problem: string): AppError {
  return new AppError('USAGE', { problem, remedy: '"opendts task --help" shows the options.' });
}

/** What the options say of it. */
function specOf(flags: TaskCommandFlags): NonNullable<Asked<'task.create'>['spec']> {
  const { types, table: tables, excludeTable: excludeTables, conflict, jobs } = flags;
  const { throttle, streamThrottle } = limitsOf(flags);
  return given({
    types,
    tables,
    excludeTables,
    conflict,
    jobs,
    throttle: Object.keys(throttle).length > 0 ? throttle : undefined,
    streamThrottle: Object.keys(streamThrottle).length > 0 ? streamThrottle : undefined,
  });
}

function limitsOf(flags: TaskCommandFlags) {
  return {
    throttle: given({ megabytes: flags.maxMegabytes, rows: flags.maxRows, queries: flags.maxQueries }),
    streamThrottle: given({ megabytes: flags.maxStreamMegabytes, rows: flags.maxStreamRows }),
  };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without what is not said. */
function given<T extends object>(all: T): Given<T> {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Given<T>;
}

export async function cloneTask(ask: Ask, task: string, name: string | undefined): Promise<ExitCode> {
  return tellState(ask, await call(ask, 'task.clone', { group: ask.group, task, ...given({ name }) }));
}

export async function renameTask(ask: Ask, name: string, newName: string): Promise<ExitCode> {
  const { id, version } = await find(ask, name);
  return tellState(
    ask,
    await call(ask, 'task.rename', { group: ask.group, task: id, version, name: newName }),
  );
}

/** Limits that are not given are lifted. */
export async function throttleTask(ask: Ask, name: string, flags: TaskCommandFlags): Promise<ExitCode> {
  const { id, version } = await find(ask, name);
  const limits = limitsOf(flags);
  return tellState(ask, await call(ask, 'task.throttle', { group: ask.group, task: id, version, ...limits }));
}

export async function deleteTask(ask: Ask, name: string): Promise<ExitCode> {
  const { id, version } = await find(ask, name);
  await call(ask, 'task.delete', { group: ask.group, task: id, version });
  return tell(ask, { kind: 'TaskDeleted', data: { id, name } }, [`deleted ${printable(name)}`]);
}

function find(ask: Ask, task: string) {
  return call(ask, 'task.show', { group: ask.group, task });
}

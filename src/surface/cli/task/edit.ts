/** `opendts task create`, `clone`, `rename`, `throttle` and `delete`. */
import type { ExitCode } from '../../../base/errors/exit.ts';
import type { Asked } from '../../../contract/api/operations.ts';
import { readTaskFile } from '../../../service/task/task-file.ts';
import { call, tell, type Ask } from '../ask.ts';
import { printable } from '../view/text.ts';
import type { TaskCommandFlags } from './flags.ts';
import { tellState } from './life.ts';

export async function createTask(ask: Ask, name: string, flags: TaskCommandFlags): Promise<ExitCode> {
  const { file, source, target, taskGroup, environment, cluster } = flags;
  const {
    source: _source,
    target: _target,
    retry,
    ...spec
  } = file === undefined ? {} : readTaskFile(file, ask.context.config.env);
  const input = {
    group: ask.group,
    name,
    ...given({ source, target, taskGroup, environment, cluster }),
    ...retry,
    spec: { ...spec, ...specOf(flags) },
  };
  return tellState(ask, await call(ask, 'task.create', input));
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

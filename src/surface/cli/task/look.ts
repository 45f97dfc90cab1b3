/** `opendts task list`, `show`, `checks`, `tables`, `events` and `series`. */
import type { ExitCode } from '../../../base/errors/exit.ts';
import { shellWord } from '../../../base/runtime/shell-word.ts';
import type { Answer } from '../../../contract/api/operations.ts';
import { allPages, call, tell, type Ask } from '../ask.ts';
import { checkReport } from '../view/check-report.ts';
import { eventLines, nextSteps, seriesLines, tableLines, taskLines, taskList } from '../view/task-view.ts';
import type { TaskCommandFlags } from './flags.ts';

const SHOWN = 50;

export async function listTasks(ask: Ask, flags: TaskCommandFlags): Promise<ExitCode> {
  const { group } = ask;
  const { state, taskGroup, name } = flags;
  const wanted = Object.fromEntries(
    Object.entries({ state, taskGroup, name }).filter(([, value]) => value !== undefined),
  );
  const items = await allPages((page) => call(ask, 'task.list', { group, ...wanted, ...page }));
  const steps = [{ why: 'Make one', command: 'opendts apply -f task.yaml' }];
  return tell(
    ask,
    { kind: 'TaskList', data: { items }, nextSteps: items.length === 0 ? steps : [] },
    taskList(items),
  );
}

export async function showTask(ask: Ask, task: string): Promise<ExitCode> {
  const { group } = ask;
  const shown = await call(ask, 'task.show', { group, task });
  const steps = nextSteps(shown, group);
  return tell(ask, { kind: 'Task', data: shown, warnings: shown.notes, nextSteps: steps }, taskLines(shown));
}

/** The report of `opendts check`. */
export async function showChecks(ask: Ask, task: string): Promise<ExitCode> {
  const { group } = ask;
  const shown = await call(ask, 'task.show', { group, task });
  const checks = await call(ask, 'task.checks', { group, task: shown.id });
  const steps = nextSteps(shown, group);
  const { precheck } = checks;
  const lines =
    precheck === null
      ? ['no precheck has ended yet']
      : checkReport(outcomeOf(precheck, shown.spec.types), steps, ask.context);
  return tell(ask, { kind: 'TaskPrecheck', data: checks, nextSteps: steps }, lines);
}

/** With counts as numbers again. */
function outcomeOf(
  { estimate, source, target, ...same }: NonNullable<Answer<'task.checks'>['precheck']>,
  types: Answer<'task.show'>['spec']['types'],
): Parameters<typeof checkReport>[0] {
  const end = (one: typeof source) => ({ ...one, databaseBytes: BigInt(one.databaseBytes) });
  return {
    ...same,
    types,
    source: end(source),
    target: end(target),
    estimate: {
      ...estimate,
      rows: BigInt(estimate.rows),
      relationBytes: BigInt(estimate.relationBytes),
      textBytes: BigInt(estimate.textBytes),
      walBytes: BigInt(estimate.walBytes),
    },
  };
}

export async function showTables(ask: Ask, task: string, { name }: TaskCommandFlags): Promise<ExitCode> {
  const { group } = ask;
  const wanted = name === undefined ? {} : { name };
  const items = await allPages((page) => call(ask, 'task.tables', { group, task, ...wanted, ...page }));
  const nextSteps = items
    .filter(({ stopped, wish }) => stopped !== null && stopped.code !== 'TABLE_SKIPPED' && wish === null)
    .map(({ table, stopped }) => ({
      why: `Let ${table} go on${stopped?.code === 'TABLE_PAUSED' ? '' : ', once the cause is removed'}`,
      command: `opendts task tables ${shellWord(task)} --resume ${shellWord(table)} --group ${shellWord(group)}`,
    }));
  return tell(ask, { kind: 'TaskTables', data: { items }, nextSteps }, tableLines(items));
}

const utc = (time: string) => new Date(time).toISOString();

/** Delay and what was done by then, as a server keeps it for 30 days. */
export async function showSeries(ask: Ask, task: string, given: TaskCommandFlags): Promise<ExitCode> {
  const { from, to } = given;
  const span = {
    ...(from === undefined ? {} : { from: utc(from) }),
    ...(to === undefined ? {} : { to: utc(to) }),
  };
  const series = await call(ask, 'task.series', { group: ask.group, task, ...span });
  return tell(ask, { kind: 'TaskSeries', data: series }, seriesLines(series.points));
}

/** The newest first. */
export async function showEvents(ask: Ask, task: string, all: boolean): Promise<ExitCode> {
  const { group } = ask;
  const items = all
    ? await allPages((page) => call(ask, 'task.events', { group, task, ...page }))
    : (await call(ask, 'task.events', { group, task, limit: SHOWN })).items;
  return tell(ask, { kind: 'TaskEvents', data: { items } }, eventLines(items));
}

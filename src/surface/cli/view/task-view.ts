/** Tasks of a server as lines for people, and what to do next. Pure. */
import { shellWord } from '../../../base/runtime/shell-word.ts';
import type { PersonEvent } from '../../../contract/api/task-states.ts';
import type { Answer } from '../../../contract/api/operations.ts';
import type { NextStep } from '../../../contract/progress.ts';
import { count, duration, percent, size } from './quantities.ts';
import { printable, table } from './text.ts';

export type Task = Answer<'task.show'>;
type Line = Answer<'task.list'>['items'][number];
export type TimelineEvent = Answer<'task.events'>['items'][number];
type TableLine = Answer<'task.tables'>['items'][number];

export function taskList(items: readonly Line[]): string[] {
  const rows = items.map(
    ({ name, state, startAt, phase, copied, delayMs, source, target, taskGroup, id, failureCode }) => [
      name,
      `${failureCode === null ? state : `${state} (${failureCode})`}${startWords(startAt)}`,
      far({ phase, copied }),
      delayMs === null || state !== 'running' ? '' : duration(delayMs),
      source ?? '-',
      target ?? '-',
      taskGroup ?? '',
      id,
    ],
  );
  return table(['name', 'state', 'progress', 'delay', 'source', 'target', 'task group', 'id'], rows);
}

function far({ phase, copied }: Pick<Line, 'phase' | 'copied'>): string {
  if (phase === null) return '';
  return phase === 'copy' && copied !== null ? `${phase} ${percent(copied)}` : phase;
}

/** What is known of one, what is not set left out. */
export function taskLines(task: Task): string[] {
  const { progress, failure, retry, worker } = task;
  const words: Readonly<Record<string, string | null>> = {
    name: task.name,
    id: task.id,
    state: `${task.state}, since ${clock(task.stateSince)}${startWords(task.startAt)}`,
    possible: task.possible.join(', '),
    source: task.source?.name ?? null,
    target: task.target?.name ?? null,
    types: task.spec.types.join(', '),
    'task group': task.taskGroup,
    environment: task.environment,
    cluster: task.cluster,
    blackout: task.blackout.length === 0 ? null : task.blackout.map(windowWords).join('; '),
    progress: progress === null ? null : far({ phase: progress.phase, copied: progress.copy?.share ?? null }),
    delay: progress?.delayMs == null || task.state !== 'running' ? null : duration(progress.delayMs),
    worker: worker === null ? null : (worker.name ?? worker.id),
    failure: failure === null ? null : `${failure.code}: ${failure.message}`,
    'what to do': failure === null ? null : failure.remedy,
    'tried again':
      task.attempts === 0 && task.nextAttemptAt === null
        ? null
        : `${task.attempts} times${task.nextAttemptAt === null ? '' : `, next at ${clock(task.nextAttemptAt)}`}`,
    retry: `${retry.connectMinutes} min when a server cannot be reached, ${retry.otherMinutes} min otherwise`,
    started: task.startedAt === null ? null : clock(task.startedAt),
    ended: task.endedAt === null ? null : clock(task.endedAt),
    version: String(task.version),
  };
  const known = Object.entries(words).filter((entry): entry is [string, string] => entry[1] !== null);
  return [
    ...known.map(([word, value]) => `${`${word}:`.padEnd(13)} ${printable(value)}`),
    ...task.notes.map((note) => `${'note:'.padEnd(13)} ${printable(note)}`),
  ];
}

/** The newest first. */
export function eventLines(events: readonly TimelineEvent[]): string[] {
  const rows = events.map((event) => [clock(event.at), ...eventWords(event)]);
  return table(['time (UTC)', 'what', 'state', 'by', ''], rows);
}

export function eventWords({ kind, fromState, toState, account, workerId, facts }: TimelineEvent): string[] {
  const state = toState === null || toState === fromState ? '' : toState;
  const by = account ?? (workerId === null ? 'service' : `worker ${workerId.slice(0, 8)}`);
  return [kind, state, by, factWords(facts)];
}

function factWords(facts: TimelineEvent['facts']): string {
  const words = Object.entries(facts).map(([name, value]) =>
    typeof value === 'string' ? `${name}=${value}` : `${name}=${JSON.stringify(value)}`,
  );
  const text = words.join(' ');
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}

/** Of tables that a person has stopped. */
const STATE: Readonly<Record<string, string>> = { TABLE_PAUSED: 'paused', TABLE_SKIPPED: 'left out' };

function whyStopped({ code, reason, keptBytes }: NonNullable<TableLine['stopped']>): string {
  const kept = keptBytes === '0' ? '' : ` The source keeps ${size(BigInt(keptBytes))} of its log for it.`;
  return `${code}: ${reason}${kept}`;
}

export function tableLines(tables: readonly TableLine[]): string[] {
  const rows = tables.map(({ table: name, stage, share, rows: copied, stopped, wish }) => [
    name,
    wish === null ? (STATE[stopped?.code ?? ''] ?? stage) : `${stage} (${wish} is asked for)`,
    stage === 'copying' ? percent(share) : '',
    copied,
    stopped === null ? '' : whyStopped(stopped),
  ]);
  return table(['table', 'stage', 'copied', 'rows', 'stopped because'], rows, ['copied', 'rows']);
}

export function seriesLines(points: Answer<'task.series'>['points']): string[] {
  const rows = points.map(({ at, delayMs, lagBytes, rowsCopied, bytesCopied, changesApplied }) => [
    clock(at),
    delayMs === null ? '-' : duration(delayMs),
    lagBytes === null ? '-' : size(BigInt(lagBytes)),
    count(BigInt(rowsCopied)),
    size(BigInt(bytesCopied)),
    count(BigInt(changesApplied)),
  ]);
  const numbers = ['delay', 'log behind', 'rows copied', 'bytes copied', 'changes applied'];
  return table(['time (UTC)', ...numbers], rows, numbers);
}

/** As `--blackout` takes it. */
function windowWords({ from, to, timeZone, throttle, streamThrottle }: Task['blackout'][number]): string {
  const words = (prefix: string, limits: Readonly<Record<string, number | undefined>>) =>
    Object.entries(limits).map(([name, limit]) => `${prefix}${name}=${limit}`);
  return [
    `${from}-${to} ${timeZone}`,
    ...words('max-', throttle),
    ...words('max-stream-', streamThrottle),
  ].join(' ');
}

/** Nothing where it does not start by itself. */
export function startWords(startAt: string | null): string {
  return startAt === null ? '' : `, starts at ${clock(startAt)} UTC`;
}

/** `2026-11-29 13:00:05` */
export function clock(time: string): string {
  return time.slice(0, 19).replace('T', ' ');
}

const WHY: Readonly<Partial<Record<PersonEvent, string>>> = {
  precheck: 'See whether it could run',
  start: 'Start it',
  pause: 'Pause it',
  resume: 'Let it go on',
  stop: 'Stop it',
  release: 'Take back what it has in the source and its books on the target',
};

/** What may be asked for in this state, ready to paste. */
export function nextSteps(
  { id, possible, state }: Pick<Task, 'id' | 'possible' | 'state'>,
  group: string,
): NextStep[] {
  const command = (verb: string) => `opendts task ${verb} ${id} --group ${shellWord(group)}`;
  const verbs = possible.flatMap((event) => {
    const why = WHY[event];
    return why === undefined ? [] : [{ why, command: command(event) }];
  });
  const look =
    state === 'precheck-failed'
      ? [{ why: 'See what the precheck has found', command: command('checks') }]
      : possible.includes('configure')
        ? []
        : [{ why: 'See how it goes on', command: command('watch') }];
  return [...look, ...verbs];
}

/** `opendts task watch`: a task of a server as it goes on, until it has come to an end. */
import { z } from 'zod';
import { toAppError } from '../../../base/errors/app-error.ts';
import { ERRORS } from '../../../base/errors/errors.ts';
import { EXIT, type ExitCode } from '../../../base/errors/exit.ts';
import type { StoredTableProgress, TaskProgress } from '../../../contract/api/task-progress.ts';
import type { TaskState } from '../../../contract/api/task-states.ts';
import { PHASES, type MigrationEvent, type Phase, type TableProgress } from '../../../contract/progress.ts';
import { call, tell, type Ask } from '../ask.ts';
import { stopExit } from '../stop.ts';
import { openProgressReport, type ProgressReport } from '../view/progress-report.ts';
import { total, type WatchedProgress } from '../view/progress-view.ts';
import { eventWords, nextSteps, type Task, type TimelineEvent } from '../view/task-view.ts';
import { printable } from '../view/text.ts';
import type { TaskCommandFlags } from './flags.ts';
import { TaskNews } from './task-news.ts';

/** As many tables as are read each time: more than a terminal has lines. */
const TABLES = 200;

/** Nothing goes on from here unless somebody asks for it. */
const ENDS: ReadonlySet<TaskState> = new Set<TaskState>([
  'not-configured',
  'not-started',
  'precheck-failed',
  'paused',
  'failed',
  'stopped',
  'completed',
  'release-failed',
  'released',
]);

export async function watchTask(
  ask: Ask,
  name: string,
  { until, timeout }: TaskCommandFlags,
): Promise<ExitCode> {
  const { signal } = ask.context;
  const deadline = timeout === undefined ? Infinity : Date.now() + timeout * 1000;
  const { task, ended } = await follow(ask, name, { until, deadline });
  const { name: shown, state, failure } = task;
  const why =
    failure === null ? [] : [`${failure.code}: ${printable(failure.message)}`, printable(failure.remedy)];
  tell(ask, { kind: 'Task', data: task, warnings: task.notes, nextSteps: nextSteps(task, ask.group) }, [
    `${printable(shown)} is ${state}`,
    ...why,
  ]);
  if (ended === 'stopped') return stopExit(signal);
  if (ended === 'late') return EXIT.timeout;
  return exitOf(task, until);
}

interface Limits {
  readonly until: TaskState | undefined;
  readonly deadline: number;
}

type Ended = 'there' | 'late' | 'stopped';

/** Progress on stderr, until the task has ended or is where it is wanted. */
async function follow(ask: Ask, name: string, limits: Limits): Promise<{ task: Task; ended: Ended }> {
  const { group, context } = ask;
  let task = await call(ask, 'task.show', { group, task: name });
  const { id } = task;
  using report = openProgressReport(context, ask.json);
  const view = new View(ask, report);
  await using news = new TaskNews(ask, id);
  for (;;) {
    try {
      task = await call(ask, 'task.show', { group, task: id });
      await view.show(task);
      if (isThere(task, limits.until)) return { task, ended: 'there' };
    } catch (thrown) {
      view.tellAway(thrown);
    }
    if (Date.now() >= limits.deadline) return { task, ended: 'late' };
    await news.next(task.state, limits.deadline);
    if (context.signal.aborted) return { task, ended: 'stopped' };
  }
}

function isThere({ state, desired }: Task, until: TaskState | undefined): boolean {
  return state === until || ENDS.has(state) || (state === 'prechecked' && desired === 'idle');
}

/** What was waited for has come, or what came instead. */
function exitOf({ state, failure }: Task, until: TaskState | undefined): ExitCode {
  // Without incremental migration there is nothing to keep running for.
  if (state === until || (until === 'running' && state === 'completed')) return EXIT.ok;
  if (state === 'precheck-failed') return EXIT.check;
  if (failure !== null && (state === 'failed' || state === 'release-failed')) return exitOfCode(failure.code);
  return until === undefined ? EXIT.ok : EXIT.timeout;
}

/** A newer server may have codes that are not known here. */
function exitOfCode(code: string): ExitCode {
  const known = Object.entries(ERRORS).find(([name]) => name === code);
  return known === undefined ? EXIT.unexpected : known[1].exit;
}

/** The timeline as it grows, and the progress of the run beneath it. */
class View {
  private readonly ask: Ask;
  private readonly report: ProgressReport;
  private lastEvent: bigint | null = null;
  private progress: WatchedProgress | null = null;
  private isAway = false;

  constructor(ask: Ask, report: ProgressReport) {
    this.ask = ask;
    this.report = report;
  }

  async show(task: Task): Promise<void> {
    await this.tellEvents(task);
    this.isAway = false;
    if (task.progress === null || !task.possible.includes('pause')) return;
    const isFirst = this.progress === null;
    const progress = asProgress(task, task.progress, await this.readTables(task));
    this.progress = progress;
    if (isFirst) this.report.follow(() => this.progress ?? progress);
  }

  /** A server that is away for a while is asked again; anything else is thrown. */
  tellAway(thrown: unknown): void {
    const error = toAppError(thrown);
    if (this.ask.context.signal.aborted) return;
    if (error.entry.retry !== 'later') throw error;
    if (!this.isAway) this.report.event({ level: 'warn', phase: 'connect', message: error.message });
    this.isAway = true;
  }

  /** What has happened since; of a task that is watched from now on, nothing of before. */
  private async tellEvents({ id, progress }: Task): Promise<void> {
    const { group } = this.ask;
    const { items } = await call(this.ask, 'task.events', { group, task: id, limit: 50 });
    const last = this.lastEvent;
    const fresh = last === null ? [] : items.filter((event) => BigInt(event.id) > last);
    for (const event of fresh.toReversed()) this.report.event(asEvent(event, progress?.phase ?? 'connect'));
    this.lastEvent = BigInt(items[0]?.id ?? 0);
  }

  /** All of them, or of many those that are at work and those that have failed. */
  private async readTables({ id, progress }: Task): Promise<readonly StoredTableProgress[]> {
    const place = { group: this.ask.group, task: id, limit: TABLES };
    if (progress === null || total(progress.tables) <= TABLES)
      return (await call(this.ask, 'task.tables', place)).items;
    const copying = await call(this.ask, 'task.tables', { ...place, stage: 'copying' });
    const failed = await call(this.ask, 'task.tables', { ...place, stage: 'failed' });
    return [...copying.items, ...failed.items];
  }
}

const TROUBLE: ReadonlySet<string> = new Set([
  'failed',
  'retrying',
  'precheck-failed',
  'release-failed',
  'warning',
]);

/** What the run tells in words of its own is shown as `opendts migrate` does. */
function asEvent(event: TimelineEvent, now: Phase): MigrationEvent {
  const level = TROUBLE.has(event.kind) ? 'warn' : 'info';
  const told = toldByRun.safeParse(event.facts);
  if (told.success) return { level, ...told.data };
  const [kind, state, by, facts] = eventWords(event);
  const message = [kind, ...(state === '' ? [] : [`→ ${state}`]), `(${by})`, facts].join(' ').trimEnd();
  return { level, phase: now, message };
}

const toldByRun = z.object({ phase: z.enum(PHASES), message: z.string() });

/** As the view of `opendts migrate` takes it: counts as numbers again. */
function asProgress(
  { engineTaskId, id }: Task,
  progress: TaskProgress,
  tables: readonly StoredTableProgress[],
): WatchedProgress {
  const { copy, slot, lagBytes, tables: stages, ...same } = progress;
  return {
    ...same,
    taskId: engineTaskId ?? id,
    ...(tables.length < total(stages) ? { stages } : {}),
    tables: tables.map(asTable),
    rowsCopied: BigInt(progress.rowsCopied),
    bytesCopied: BigInt(progress.bytesCopied),
    copy: copy && {
      ...copy,
      rows: BigInt(copy.rows),
      rowsEstimate: big(copy.rowsEstimate),
      bytes: BigInt(copy.bytes),
      bytesEstimate: big(copy.bytesEstimate),
    },
    changesApplied: BigInt(progress.changesApplied),
    transactionsApplied: BigInt(progress.transactionsApplied),
    deadLetters: BigInt(progress.deadLetters),
    lagBytes: big(lagBytes),
    slot: slot && {
      ...slot,
      retainedBytes: BigInt(slot.retainedBytes),
      safeBytes: big(slot.safeBytes),
    },
  };
}

function asTable(table: StoredTableProgress): TableProgress {
  return {
    ...table,
    rows: BigInt(table.rows),
    bytes: BigInt(table.bytes),
    skipped: BigInt(table.skipped),
    rowsEstimate: big(table.rowsEstimate),
    bytesEstimate: big(table.bytesEstimate),
    inserts: BigInt(table.inserts),
    updates: BigInt(table.updates),
    deletes: BigInt(table.deletes),
  };
}

function big(text: string | null): bigint | null {
  return text === null ? null : BigInt(text);
}

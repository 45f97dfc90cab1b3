/**
 * One migration from start to end, and again from wherever an earlier run left it. The target's task row says which stage is next:
 *
 *   schema → slot → copy → index → stream → done
 *
 * Every stage is idempotent: it looks at what the target has recorded and does the rest. A stage's work and its record commit together
 * on the target, so `kill -9` at any moment costs at most the work in flight.
 */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import { tightHeap } from '../../base/runtime/tight-heap.ts';
import { atMost } from '../../base/runtime/sleep.ts';
import type { MigrationProgress, MigrationSummary } from '../../contract/progress.ts';
import type { Lsn } from '../../engine/change/lsn.ts';
import { displayName } from '../../engine/change/relation.ts';
import { PgError } from '../../engine/pg/pg-error.ts';
import type { SchemaPlan } from '../../engine/schema/plan.ts';
import type { HeldSnapshot } from '../../engine/source/snapshot-holder.ts';
import {
  NO_STREAM_LIMITS,
  StreamThrottle,
  type StreamLimits,
} from '../../engine/pipeline/stream-throttle.ts';
import { CopyThrottle, NO_LIMITS, type CopyLimits } from '../../engine/source/throttle.ts';
import { readAccounts } from '../../engine/target/books/account.ts';
import {
  isLeftOut,
  readStoppedTables,
  retryStoppedTables,
} from '../../engine/target/books/stopped-tables.ts';
import { readDoneSteps, type StepNote } from '../../engine/target/books/schema-steps.ts';
import { countLetters } from '../../engine/target/letters/stored-letters.ts';
import { setPhase, type TaskPhase } from '../../engine/target/books/task-row.ts';
import { patiently } from './copy/copy-pass.ts';
import { copyTables, createSlotAndHold } from './copy/copy-stage.ts';
import { totalLetters } from './dead-letters.ts';
import { Ends } from './ends.ts';
import { failureOf } from './owner/ownership.ts';
import { goalOf } from './goal.ts';
import { setSequences, summarize } from './finish-stage.ts';
import { prepareTask } from './prepare-stage.ts';
import { ProgressBook, type StandingTable } from './progress-book.ts';
import { beginAtSlot } from './source/start-position.ts';
import { keepSource } from './source/source-objects.ts';
import { noteComplete, Plans, type CurrentPlan } from './schema/current-plan.ts';
import { assertSchemaComplete, assertTablesReady, bookPlan } from './schema/completeness.ts';
import { failedFor } from './schema/notes.ts';
import { retryPreData, runPhases } from './schema/run-phases.ts';
import { analyze, firingNothing, keysOnly } from './schema-stage.ts';
import { openTogether, streamUntil } from './stream-stage.ts';
import { hasRest } from './stream/beside.ts';
import { DdlRepeater } from './stream/ddl.ts';
import { IndexRepeater } from './stream/index-repeater.ts';
import { Joining } from './stream/joining.ts';
import { NewTables } from './stream/new-tables.ts';
import { Rest } from './stream/rest.ts';
import {
  enter,
  migratesData,
  warn,
  withSignal,
  type MigrationHooks,
  type MigrationRequest,
  type TaskRun,
} from './task-run.ts';

export interface Migration {
  /** Where it is right now; cheap, for a view that asks several times a second. */
  progress(): MigrationProgress;
  /** Tables that stand still while the others go on. */
  stopped(): readonly StandingTable[];
  /** Changes the limits of the full copy while it runs. */
  limit(limits: CopyLimits): void;
  /** Changes the limits of the stream while it runs. */
  limitStream(limits: StreamLimits): void;
  /** Resolves at the end, also when the signal stopped it; rejects with AppError. Running again resumes in every case. */
  readonly finished: Promise<MigrationSummary>;
}

export function startMigration(request: MigrationRequest, hooks: MigrationHooks): Migration {
  const book = new ProgressBook();
  const throttle = new CopyThrottle(request.limits ?? NO_LIMITS);
  const streamThrottle = new StreamThrottle(request.streamLimits ?? NO_STREAM_LIMITS);
  return {
    progress: () => book.snapshot(),
    stopped: () => book.standing(),
    limit: (limits) => throttle.set(limits),
    limitStream: (limits) => streamThrottle.set(limits),
    finished: migrate({ request, hooks, book, throttle, streamThrottle }),
  };
}

async function migrate(
  parts: Pick<TaskRun, 'request' | 'hooks' | 'book' | 'throttle' | 'streamThrottle'>,
): Promise<MigrationSummary> {
  const { request, hooks } = parts;
  await using ends = new Ends(request.source, request.target, request.silentMs);
  let run: TaskRun | null = null;
  try {
    run = await prepareTask({ ...parts, ends });
    return await runStages(run);
  } catch (thrown) {
    if (hooks.signal.aborted && run) return await summarize(run, 'stopped');
    const error =
      thrown instanceof PgError
        ? new AppError('UNEXPECTED', { problem: `${thrown.shown} (SQLSTATE ${thrown.sqlstate})` }, thrown)
        : toAppError(thrown);
    throw run ? await failureOf(run, error) : error;
  }
}

async function runStages(run: TaskRun): Promise<MigrationSummary> {
  if (run.task.phase === 'done') {
    enter(run, 'done', 'this migration is complete: nothing to do');
    return summarize(run, 'completed');
  }
  const plans = await Plans.read(run);
  if (run.request.types.has('schema')) await bookPlan(run, await plans.at(1));
  const isBegun = run.task.phase !== 'schema';
  if (!isBegun) await schemaStage(run, await plans.at(1));
  const held = run.task.phase === 'slot' ? await slotStage(run) : null;
  if (run.task.phase === 'copy') await copyStage(run, held);
  // What was refused a moment ago is not tried again at once.
  if (run.task.phase === 'index' && (isBegun || migratesData(run)))
    await retryPreData(run, await plans.at(1));
  if (run.task.phase === 'index') await indexStage(run, await plans.at(1));
  if (run.task.phase !== 'stream') return finish(run, 'completed');
  return finish(run, await streamStage(run, plans));
}

async function pass(run: TaskRun, phase: TaskPhase): Promise<void> {
  await setPhase(await run.ends.target(), run, phase);
  run.task = { ...run.task, phase };
}

async function schemaStage(run: TaskRun, plan: SchemaPlan): Promise<void> {
  using _heap = tightHeap();
  const { types } = run.request;
  if (types.has('schema')) {
    enter(
      run,
      'schema',
      `creating the schema: ${plan.steps.filter((step) => step.phase === 'pre-data').length} objects before the data`,
    );
    const open = await runPhases(run, plan, ['pre-data']);
    if (migratesData(run)) await assertTablesReady(run, plan, open);
  }
  await pass(run, migratesData(run) ? 'slot' : 'index');
}

async function slotStage(run: TaskRun): Promise<HeldSnapshot | null> {
  if (!run.request.types.has('incremental')) {
    await pass(run, 'copy');
    return null;
  }
  const { start } = run.request;
  if (start) {
    await beginAtSlot(run, start);
    return null;
  }
  enter(run, 'prepare', `creating slot ${run.names.slot} on the source`);
  return createSlotAndHold(run);
}

async function copyStage(run: TaskRun, held: HeldSnapshot | null): Promise<void> {
  if (run.request.types.has('full')) {
    await copyTables(run, held);
    return;
  }
  await held?.[Symbol.asyncDispose]();
  return pass(run, 'index');
}

/** Foreign keys wait until all tables are of one moment: after the copy, or once the stream has brought later snapshots together. */
async function indexStage(run: TaskRun, plan: SchemaPlan): Promise<void> {
  using _heap = tightHeap();
  const incremental = run.request.types.has('incremental');
  const rest = incremental && (await hasRest(run));
  enter(run, 'index', rest ? 'building the keys that changes are applied by' : 'building indexes and keys');
  const keys = keysOnly(plan, run);
  const open = await runPhases(run, rest ? keys : plan, ['index']);
  if (incremental) assertKeys(open, keys);
  await analyze(run);
  run.hooks.signal.throwIfAborted();
  if (incremental) return await pass(run, 'stream');
  await runPhases(run, plan, ['foreign-key', 'post-data']);
  // Before the phase that says that nothing is left to do.
  await takeSequences(run);
  await assertSchemaComplete(run, migratesData(run) ? 'All data is copied, and the sequences are set.' : '');
  return await pass(run, 'done');
}

/** Any other index may come while changes are applied: waiting for it would only have the source keep its log. */
function assertKeys(open: readonly StepNote[], { steps }: SchemaPlan): void {
  const keys = new Set(steps.map(({ id }) => id));
  const missing = open.filter(({ id }) => keys.has(id));
  if (missing.length > 0) throw failedFor(missing, 'Changes are not applied before the keys are there.');
}

const LOOK_MS = 5_000;
/** What is kept of so many weighs more than a few more collections of garbage. */
const MANY_TABLES = 2_000;

/** Looks for new tables, not longer than a moment: somebody may have locked one. */
async function findsMore(newTables: NewTables, signal: AbortSignal): Promise<boolean> {
  using _heap = tightHeap();
  await atMost(LOOK_MS, newTables.look(null), signal);
  return newTables.areReady;
}

async function streamStage(run: TaskRun, plans: Plans): Promise<'stopped' | 'caught-up'> {
  const { request, book, hooks } = run;
  using _heap = run.followed.length < MANY_TABLES ? null : tightHeap();
  const target = await run.ends.target();
  book.restore(await readAccounts(target, run.taskId));
  await retryStoppedTables(target, run.taskId, request.ddl === 'apply');
  book.deadLetters = totalLetters(await countLetters(target, run.taskId));
  enter(run, 'catch-up', 'following changes of the source');
  book.all('streaming');
  const together = await patiently(run, () => openTogether(run));
  await using rest = new Rest(run, (turn) => plans.at(turn), together);
  await using newTables = new NewTables(run);
  await using ddl = new DdlRepeater(run, together);
  await using indexes = new IndexRepeater(run);
  const joining = new Joining(run, rest);
  using _helpers = keepSource(run);
  const following = withSignal(run, AbortSignal.any([hooks.signal, rest.failed]));
  const stream = async (until: () => Lsn | null) => {
    const beside = { together, newTables, ddl, indexes, joining, onRest: () => rest.begin() };
    const end = await streamUntil(following, { ...beside, until });
    if (rest.failed.aborted) throw toAppError(rest.failed.reason);
    return hooks.signal.aborted ? 'stopped' : end;
  };
  // What came while nobody followed belongs to what there is to be in step with; a table that somebody locks comes later.
  await findsMore(newTables, hooks.signal);
  rest.begin();
  let goal: (() => Lsn | null) | null = null;
  for (;;) {
    if ((await stream(() => rest.reconciled)) === 'stopped') return 'stopped';
    await completeSchema(run, rest, await plans.at(rest.turn));
    plans.forget();
    goal ??= await patiently(run, () => goalOf(run, request.until));
    enter(run, 'stream', 'all tables are in step; changes are applied as they come');
    const { turn } = rest;
    const wanted = goal;
    if ((await stream(() => (rest.turn === turn ? wanted() : rest.reconciled))) === 'stopped')
      return 'stopped';
    // A table that was locked when it was looked for belongs to what there is to be in step with.
    if (rest.turn === turn && !(await findsMore(newTables, hooks.signal))) break;
  }
  await assertNoneLeft(run, rest.leftBehind);
  return 'caught-up';
}

/** What needs all tables to be of one moment. With tables missing it waits for a later run. */
async function completeSchema(run: TaskRun, rest: Rest, plan: CurrentPlan): Promise<void> {
  const target = await run.ends.target();
  const stopped = await readStoppedTables(target, run.taskId);
  // Rows may be missing that others refer to.
  const letters = await countLetters(target, run.taskId);
  if (rest.leftBehind !== null || !stopped.every(isLeftOut) || run.apart.size > 0) return;
  if (letters.length > 0) return warnOfLetters(run, plan);
  await runPhases(run, run.firesNothing ? plan : firingNothing(plan), ['foreign-key', 'post-data']);
  await noteComplete(run, plan);
}

async function warnOfLetters(run: TaskRun, { steps }: SchemaPlan): Promise<void> {
  const done = await readDoneSteps(await run.ends.target(), run.taskId);
  const left = steps.filter(({ phase, id }) => /^(foreign-key|post-data)$/.test(phase) && !done.has(id));
  if (left.length > 0)
    warn(run, 'foreign keys, triggers and the like are made by a run that finds no dead letters');
}

/** In step with the source is only who has all tables with him. */
async function assertNoneLeft(run: TaskRun, leftBehind: AppError | null): Promise<void> {
  if (leftBehind !== null) throw leftBehind;
  const all = await readStoppedTables(await run.ends.target(), run.taskId);
  const stopped = all.filter((one) => !isLeftOut(one));
  if (stopped.length === 0) return;
  throw new AppError('TABLES_STOPPED', {
    count: stopped.length,
    problems: stopped.map(({ table, reason }) => `${displayName(table)}: ${reason}`).join(' '),
  });
}

async function takeSequences(run: TaskRun): Promise<void> {
  enter(run, 'finish', 'setting sequences');
  await setSequences(run);
}

async function finish(run: TaskRun, outcome: MigrationSummary['outcome']): Promise<MigrationSummary> {
  if (outcome === 'caught-up') {
    await takeSequences(run);
    await assertSchemaComplete(run, 'The data is in step with the source, and the sequences are set.');
  }
  if (outcome !== 'stopped') {
    run.book.all('done');
    enter(run, 'done', outcome === 'completed' ? 'complete' : 'in step with the source');
  }
  return summarize(run, outcome);
}

/**
 * One migration from start to end, and again from wherever an earlier run left it. The target's task row says which stage is next:
 *
 *   schema → slot → copy → index → stream → done
 *
 * Every stage is idempotent: it looks at what the target has recorded and does the rest. A stage's work and its record commit together
 * on the target, so `kill -9` at any moment costs at most the work in flight.
 */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import type { MigrationProgress, MigrationSummary } from '../../contract/progress.ts';
import type { Lsn } from '../../engine/change/lsn.ts';
import { PgError } from '../../engine/pg/pg-error.ts';
import { endOfWal } from '../../engine/pg/wal-position.ts';
import type { SchemaPlan } from '../../engine/schema/plan.ts';
import type { HeldSnapshot } from '../../engine/source/snapshot-holder.ts';
import { CopyThrottle, NO_LIMITS, type CopyLimits } from '../../engine/source/throttle.ts';
import { readAccounts } from '../../engine/target/account.ts';
import { setPhase, type TaskPhase } from '../../engine/target/task-row.ts';
import { copyTables, createSlotAndHold } from './copy/copy-stage.ts';
import { Ends } from './ends.ts';
import { setSequences, summarize } from './finish-stage.ts';
import { prepareTask } from './prepare-stage.ts';
import { ProgressBook } from './progress-book.ts';
import { analyze, planFor, runPhases } from './schema-stage.ts';
import { reconciledFrom, streamUntil } from './stream-stage.ts';
import { enter, type MigrationHooks, type MigrationRequest, type TaskRun, type Until } from './task-run.ts';

export interface Migration {
  /** Where it is right now; cheap, for a view that asks several times a second. */
  progress(): MigrationProgress;
  /** Changes the limits of the full copy while it runs. */
  limit(limits: CopyLimits): void;
  /** Resolves at the end, also when the signal stopped it; rejects with AppError. Running again resumes in every case. */
  readonly finished: Promise<MigrationSummary>;
}

export function startMigration(request: MigrationRequest, hooks: MigrationHooks): Migration {
  const book = new ProgressBook();
  const throttle = new CopyThrottle(request.limits ?? NO_LIMITS);
  return {
    progress: () => book.snapshot(),
    limit: (limits) => throttle.set(limits),
    finished: migrate({ request, hooks, book, throttle }),
  };
}

async function migrate(
  parts: Pick<TaskRun, 'request' | 'hooks' | 'book' | 'throttle'>,
): Promise<MigrationSummary> {
  const { request, hooks } = parts;
  await using ends = new Ends(request.source, request.target, request.silentMs);
  let run: TaskRun | null = null;
  try {
    run = await prepareTask({ ...parts, ends });
    return await runStages(run);
  } catch (thrown) {
    if (hooks.signal.aborted && run) return await summarize(run, 'stopped');
    throw thrown instanceof PgError
      ? new AppError('UNEXPECTED', { problem: `${thrown.shown} (SQLSTATE ${thrown.sqlstate})` }, thrown)
      : toAppError(thrown);
  }
}

async function runStages(run: TaskRun): Promise<MigrationSummary> {
  if (run.task.phase === 'done') {
    enter(run, 'done', 'this migration is complete: nothing to do');
    return summarize(run, 'completed');
  }
  const plan = await planFor(run);
  if (run.task.phase === 'schema') await schemaStage(run, plan);
  let held = run.task.phase === 'slot' ? await slotStage(run) : null;
  for (;;) {
    if (run.task.phase === 'copy') await copyStage(run, held);
    held = null;
    if (run.task.phase === 'index') await indexStage(run, plan);
    if (run.task.phase !== 'stream') return finish(run, 'completed');
    const outcome = await streamStage(run, plan);
    if (outcome !== 'recopy') return finish(run, outcome);
  }
}

async function pass(run: TaskRun, phase: TaskPhase): Promise<void> {
  await setPhase(await run.ends.target(), run, phase);
  run.task = { ...run.task, phase };
}

async function schemaStage(run: TaskRun, plan: SchemaPlan): Promise<void> {
  const { types } = run.request;
  if (types.has('schema')) {
    enter(
      run,
      'schema',
      `creating the schema: ${plan.steps.filter((step) => step.phase === 'pre-data').length} objects before the data`,
    );
    await runPhases(run, plan, ['pre-data']);
  }
  await pass(run, types.has('full') || types.has('incremental') ? 'slot' : 'index');
}

async function slotStage(run: TaskRun): Promise<HeldSnapshot | null> {
  if (!run.request.types.has('incremental')) {
    await pass(run, 'copy');
    return null;
  }
  enter(run, 'prepare', `creating publication and slot ${run.names.slot} on the source`);
  return createSlotAndHold(run);
}

async function copyStage(run: TaskRun, held: HeldSnapshot | null): Promise<void> {
  if (run.request.types.has('full')) return copyTables(run, held);
  await held?.[Symbol.asyncDispose]();
  return pass(run, 'index');
}

/** Foreign keys wait until all tables are of one moment: after the copy, or once the stream has brought later snapshots together. */
async function indexStage(run: TaskRun, plan: SchemaPlan): Promise<void> {
  const incremental = run.request.types.has('incremental');
  enter(run, 'index', 'building indexes and keys');
  await runPhases(run, plan, ['index']);
  await analyze(run);
  run.hooks.signal.throwIfAborted();
  if (incremental) return pass(run, 'stream');
  await runPhases(run, plan, ['foreign-key', 'post-data']);
  // Before the phase that says that nothing is left to do.
  await takeSequences(run);
  return pass(run, 'done');
}

async function streamStage(run: TaskRun, plan: SchemaPlan): Promise<'stopped' | 'caught-up' | 'recopy'> {
  const { request, book, hooks } = run;
  book.restore(await readAccounts(await run.ends.target(), run.taskId));
  enter(run, 'catch-up', 'following changes of the source');
  book.all('streaming');
  const together = await reconciledFrom(run);
  const joined = await streamUntil(run, () => together);
  if (joined !== 'reached') return joined;
  if (run.firesNothing) await runPhases(run, plan, ['foreign-key', 'post-data']);
  const goal = await goalOf(run, request.until);
  enter(run, 'stream', 'all tables are in step; changes are applied as they come');
  const end = await streamUntil(run, goal);
  if (end === 'recopy') return end;
  return end === 'stopped' || hooks.signal.aborted ? 'stopped' : 'caught-up';
}

/** For "caught-up" the source's position is read once, now that all tables are in step. */
async function goalOf(run: TaskRun, until: Until): Promise<() => Lsn | null> {
  if (until.kind === 'signal') return () => null;
  let goal: Lsn | null = null;
  if (until.kind === 'caught-up') goal = await endOfWal(await run.ends.source());
  else void Promise.resolve(until.lsn).then((lsn) => (goal = lsn));
  return () => goal;
}

async function takeSequences(run: TaskRun): Promise<void> {
  enter(run, 'finish', 'setting sequences');
  await setSequences(run);
}

async function finish(run: TaskRun, outcome: MigrationSummary['outcome']): Promise<MigrationSummary> {
  if (outcome === 'caught-up') await takeSequences(run);
  if (outcome !== 'stopped') {
    run.book.all('done');
    enter(run, 'done', outcome === 'completed' ? 'complete' : 'in step with the source');
  }
  return summarize(run, outcome);
}

/** Runs the steps of a plan on the target: phase after phase, index builds side by side, each step once. What is refused stops nothing else. */
import { AppError } from '../../../base/errors/app-error.ts';
import { isShortOfConnections } from '../../pg/connect-failure.ts';
import { isDisturbance, PgError, SQLSTATE, sqlstateOf } from '../../pg/pg-error.ts';
import type { Session } from '../../pg/session.ts';
import { PHASES } from '../draft.ts';
import type { SchemaStep } from '../plan.ts';
import { withoutSetting } from '../ddl/setting-ddl.ts';
import { announcedOf, buildBeside, isBuiltBeside, type BesideRun } from './build-beside.ts';
import {
  Problems,
  refusalText,
  schemaFailed,
  type Missing,
  type StepFailure,
  type StepProblem,
} from './problems.ts';
import { BATCH_STEPS, batchesInOrder, WorkList } from './work-list.ts';

export interface StepRunner {
  /** Opens one more session on the target; closed here. */
  readonly open: () => Promise<Session>;
  /** Sessions of the index phase; the other phases use one. */
  readonly jobs: number;
  /** Ids an earlier run has recorded: not run again. */
  readonly done: ReadonlySet<string>;
  /** What else is not there: steps that need it wait. */
  readonly missing?: Missing;
  /** Called inside the steps' transaction. */
  readonly record: (session: Session, steps: readonly SchemaStep[]) => Promise<void>;
  /** Called after the commit. */
  readonly onDone: (step: SchemaStep) => void;
  /** Called between two transactions. None: all problems are thrown at the end. */
  readonly onProblems?: (session: Session, problems: readonly StepProblem[]) => Promise<void>;
  /** Called inside each index step's transaction, after its statements. */
  readonly duringIndex: () => void;
  /** Called after each transaction. */
  readonly betweenSteps?: () => void;
  /** Tables of so many bytes are written to meanwhile: their indexes keep no writer waiting. None: nobody writes. */
  readonly besideFrom?: bigint;
  readonly signal: AbortSignal;
}

interface Running extends StepRunner, BesideRun {
  readonly problems: Problems;
}

/** Creating empty objects is quick: many share a transaction. More would need many locks at once. */
const PRE_DATA_BATCH = 200;
const DEADLOCK_TRIES = 5;

/**
 * Runs what is not done yet. Returns what the target has refused and what waits for that; where nobody is told of problems they are thrown
 * at the end as SCHEMA_FAILED. Throws SCHEMA_INTERRUPTED for what is not the object's fault, CONNECTION_LOST, or the signal's reason; steps
 * that were committed stay recorded and are not run again with the `done` of the next call.
 */
export async function runSteps(
  steps: readonly SchemaStep[],
  runner: StepRunner,
): Promise<readonly StepProblem[]> {
  const problems = new Problems(runner.missing);
  const running: Running = { ...runner, announced: announcedOf(runner.done), problems };
  const pending = steps.filter((step) => !runner.done.has(step.id));
  for (const phase of PHASES) {
    const ofPhase = pending.filter((step) => step.phase === phase);
    if (ofPhase.length === 0) continue;
    if (phase === 'index') await runParallel(ofPhase, running);
    else
      await runSerial(batchesInOrder(ofPhase, phase === 'pre-data' ? PRE_DATA_BATCH : BATCH_STEPS), running);
  }
  if (!runner.onProblems && problems.all.length > 0) throw thrownFor(problems.all);
  return problems.all;
}

function thrownFor(problems: readonly StepProblem[]): AppError {
  const failed = problems.filter((one) => one.kind === 'failed');
  const refused = failed.map((one) => ({ id: one.step.id, reason: refusalText(one) }));
  return schemaFailed(refused, problems.length - failed.length);
}

async function runSerial(batches: readonly (readonly SchemaStep[])[], runner: Running): Promise<void> {
  await withSession(runner, async (session) => {
    for (const batch of batches) await runBatch(session, batch, runner);
  });
}

/** The largest work that is ready goes first. What ends the run lets the others finish what they are at, and is thrown then. */
async function runParallel(steps: readonly SchemaStep[], runner: Running): Promise<void> {
  const list = new WorkList(steps);
  const failures: unknown[] = [];
  let changed = Promise.withResolvers<void>();
  const announce = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const work = async (session: Session) => {
    while (!list.isEmpty && failures.length === 0) {
      const batch = list.take();
      if (batch.length === 0) {
        await changed.promise;
        continue;
      }
      await runBatch(session, batch, runner);
      list.finish(batch);
      announce();
    }
  };
  let left = Math.max(1, Math.min(runner.jobs, steps.length));
  const workers = Array.from({ length: left }, async () => {
    try {
      await withSession(runner, work);
    } catch (thrown) {
      // Where the server has no connection left, the others do its share.
      if (left > 1 && isShortOfConnections(thrown)) left--;
      else failures.push(thrown);
    } finally {
      announce();
    }
  });
  await Promise.all(workers);
  if (failures.length > 0) throw failures[0];
}

/** A session that ends with the work; the signal cuts it, since a statement may take hours. */
async function withSession(runner: Running, work: (session: Session) => Promise<void>): Promise<void> {
  runner.signal.throwIfAborted();
  await using session = await runner.open();
  const cut = () => session.destroy();
  runner.signal.addEventListener('abort', cut, { once: true });
  try {
    runner.signal.throwIfAborted();
    await work(session);
  } catch (thrown) {
    runner.signal.throwIfAborted();
    throw thrown;
  } finally {
    runner.signal.removeEventListener('abort', cut);
  }
}

/** Several steps in one transaction. Where that fails they are run one by one: what passes stays, and each error has a name. */
async function runBatch(session: Session, batch: readonly SchemaStep[], runner: Running): Promise<void> {
  const found: StepProblem[] = [];
  const isReady = (step: SchemaStep) => {
    const waiting = runner.problems.holdsUp(step);
    if (waiting) found.push(waiting);
    return waiting === null;
  };
  const steps = batch.filter(isReady);
  const isApart = steps.some((step) => isBuiltBeside(step, runner.besideFrom));
  if (steps.length < 2 || isApart || !(await runTogether(session, steps, runner)))
    for (const step of steps) {
      if (!isReady(step)) continue;
      const failure = await runOne(session, step, runner);
      if (failure) {
        runner.problems.fail(failure);
        found.push(failure);
      }
    }
  if (found.length > 0) await runner.onProblems?.(session, found);
  runner.betweenSteps?.();
}

/** All statements in one string: one round trip for many small objects. False when the target refused one of them. */
async function runTogether(
  session: Session,
  steps: readonly SchemaStep[],
  runner: Running,
): Promise<boolean> {
  runner.signal.throwIfAborted();
  try {
    await session.transaction(async () => {
      // A new line before each semicolon: a definition may end in a comment.
      await session.query(steps.flatMap((step) => step.statements).join('\n;\n'));
      for (const step of steps) if (step.phase === 'index') runner.duringIndex();
      await runner.record(session, steps);
    });
  } catch (thrown) {
    if (thrown instanceof PgError) return false;
    throw thrown;
  }
  for (const step of steps) runner.onDone(step);
  return true;
}

/** One step and its record. A deadlock with another session is tried again. Returns the refusal, if it is the step's. */
async function runOne(session: Session, step: SchemaStep, runner: Running): Promise<StepFailure | null> {
  for (let attempt = 1; ; attempt++) {
    runner.signal.throwIfAborted();
    let statement = step.statements[0] ?? '';
    let isRecording = false;
    try {
      const isBuilt = isBuiltBeside(step, runner.besideFrom) && (await buildBeside(session, step, runner));
      await session.transaction(async () => {
        for (statement of isBuilt ? step.statements.slice(1) : step.statements)
          await session.query(statement);
        if (step.phase === 'index') runner.duringIndex();
        isRecording = true;
        await runner.record(session, [step]);
        isRecording = false;
        statement = '';
      });
      runner.onDone(step);
      return null;
    } catch (thrown) {
      if (sqlstateOf(thrown) === SQLSTATE.deadlock && attempt < DEADLOCK_TRIES) continue;
      if (!(thrown instanceof PgError) || isRecording) throw thrown;
      if (isDisturbance(thrown)) throw interrupted(step, thrown);
      return {
        kind: 'failed',
        step,
        statement: withoutSetting(statement),
        message: thrown.shown,
        sqlstate: thrown.sqlstate,
        position: thrown.fields.position === undefined ? null : Number(thrown.fields.position),
      };
    }
  }
}

function interrupted({ id }: SchemaStep, cause: PgError): AppError {
  return new AppError(
    'SCHEMA_INTERRUPTED',
    { object: id, problem: cause.shown, sqlstate: cause.sqlstate },
    cause,
  );
}

/** Runs the steps of a plan on the target: phase after phase, index builds side by side, each step once. */
import { AppError } from '../../base/errors/app-error.ts';
import { isShortOfConnections } from '../pg/connect-failure.ts';
import { PgError, SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { announcedOf, buildBeside, isBuiltBeside, type BesideRun } from './build-beside.ts';
import { withoutSetting } from './ddl/setting-ddl.ts';
import { PHASES } from './draft.ts';
import type { SchemaStep } from './plan.ts';
import { BATCH_STEPS, batchesInOrder, WorkList } from './work-list.ts';

export interface StepRunner {
  /** Opens one more session on the target; closed here. */
  readonly open: () => Promise<Session>;
  /** Sessions of the index phase; the other phases use one. */
  readonly jobs: number;
  /** Ids an earlier run has recorded: not run again. */
  readonly done: ReadonlySet<string>;
  /** Called inside the steps' transaction. */
  readonly record: (session: Session, steps: readonly SchemaStep[]) => Promise<void>;
  /** Called after the commit. */
  readonly onDone: (step: SchemaStep) => void;
  /** Called inside each index step's transaction, after its statements. */
  readonly duringIndex: () => void;
  /** Tables of so many bytes are written to meanwhile: their indexes keep no writer waiting. None: nobody writes. */
  readonly besideFrom?: bigint;
  readonly signal: AbortSignal;
}

interface Running extends StepRunner, BesideRun {}

/** Creating empty objects is quick: many share a transaction. More would need many locks at once. */
const PRE_DATA_BATCH = 200;
const DEADLOCK_TRIES = 5;

/**
 * Runs what is not done yet. Throws SCHEMA_FAILED for a statement the target refuses, CONNECTION_LOST, or the signal's
 * reason; steps that were committed stay recorded and are not run again with the `done` of the next call.
 */
export async function runSteps(steps: readonly SchemaStep[], runner: StepRunner): Promise<void> {
  const running: Running = { ...runner, announced: announcedOf(runner.done) };
  const pending = steps.filter((step) => !runner.done.has(step.id));
  for (const phase of PHASES) {
    const ofPhase = pending.filter((step) => step.phase === phase);
    if (ofPhase.length === 0) continue;
    if (phase === 'index') await runParallel(ofPhase, running);
    else
      await runSerial(batchesInOrder(ofPhase, phase === 'pre-data' ? PRE_DATA_BATCH : BATCH_STEPS), running);
  }
}

async function runSerial(batches: readonly (readonly SchemaStep[])[], runner: Running): Promise<void> {
  await withSession(runner, async (session) => {
    for (const batch of batches) await runBatch(session, batch, runner);
  });
}

/** The largest work that is ready goes first. A failure lets the others finish what they are at, and is thrown then. */
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

/** Several steps in one transaction. Where that fails they are run one by one: what passes stays, and the error has a name. */
async function runBatch(session: Session, steps: readonly SchemaStep[], runner: Running): Promise<void> {
  const isApart = steps.some((step) => isBuiltBeside(step, runner.besideFrom));
  if (steps.length > 1 && !isApart && (await runTogether(session, steps, runner))) return;
  for (const step of steps) await runOne(session, step, runner);
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

/** One step and its record. A deadlock with another session is tried again. */
async function runOne(session: Session, step: SchemaStep, runner: Running): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    runner.signal.throwIfAborted();
    try {
      const isBuilt = isBuiltBeside(step, runner.besideFrom) && (await buildApart(session, step, runner));
      await session.transaction(async () => {
        for (const statement of isBuilt ? step.statements.slice(1) : step.statements) {
          await session.query(statement).catch((thrown: unknown) => {
            throw explain(thrown, step, statement);
          });
        }
        if (step.phase === 'index') runner.duringIndex();
        await runner.record(session, [step]);
      });
      break;
    } catch (thrown) {
      const cause = thrown instanceof AppError ? thrown.cause : thrown;
      if (sqlstateOf(cause) !== SQLSTATE.deadlock || attempt === DEADLOCK_TRIES) throw thrown;
    }
  }
  runner.onDone(step);
}

async function buildApart(session: Session, step: SchemaStep, runner: Running): Promise<boolean> {
  try {
    return await buildBeside(session, step, runner);
  } catch (thrown) {
    throw explain(thrown, step, step.statements[0] ?? '');
  }
}

function explain(thrown: unknown, step: SchemaStep, statement: string): unknown {
  if (!(thrown instanceof PgError)) return thrown;
  const sql = withoutSetting(statement);
  const problem = sql === statement ? thrown.message : thrown.shown;
  return new AppError(
    'SCHEMA_FAILED',
    { object: step.id, problem, sqlstate: thrown.sqlstate, sql: sql.slice(0, 500) },
    thrown,
  );
}

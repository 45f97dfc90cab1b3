/** One run of a task: from its beginning under this owner to its end, and what follows from how it ended. */
import { toAppError, type AppError } from '../../base/errors/app-error.ts';
import { currentSpan } from '../../base/tracing/span.ts';
import type { MigrationEvent } from '../../contract/progress.ts';
import { effectiveRetry } from '../store/task/owner/effective-retry.ts';
import { forgetTrouble } from '../store/task/owner/forget-trouble.ts';
import { setEngineTask } from '../store/task/set-engine-task.ts';
import type { StoredTask } from '../store/task/task-row.ts';
import { limitsAt } from '../task/blackout.ts';
import { requestOf } from '../task/request/request-of.ts';
import { claimRoom, giveRoom } from './claim-room.ts';
import { grantWishes } from './grant-wishes.ts';
import { halt, knowHalts, marksOf } from './halt.ts';
import { inThread } from './in-thread.ts';
import { isFenced, isRefused, type Owned } from './owner.ts';
import { patiently } from './patiently.ts';
import { Reporter } from './reporter.ts';
import type { Fit } from './room.ts';
import { judge, troubleOf, type Adjustments, type Standing } from './retry.ts';
import { areOthers, failureOf, reachEnds, savedEnds, type SavedEnds } from './task-ends.ts';
import { StageSpans } from './task-span.ts';
import type { Outcome } from './thread/messages.ts';

/** After so long without trouble a task counts as well again. */
const WELL_MS = 60_000;
/** Then the task says that it is in trouble, and asks its connections anew. */
const STREAM_PATIENCE_MS = 10_000;

export async function migrateTask(owned: Owned): Promise<void> {
  const isRecovering = isBeingRecovered(owned.task);
  if (owned.task.state !== 'retrying')
    await owned.go('began', { facts: beginning(owned.task, isRecovering) });
  let saved: SavedEnds | null = null;
  try {
    saved = await patiently(owned.leaving, () => savedEnds(owned.parts, owned.task));
    const room = await claimRoom(owned, saved);
    await ended(owned, room === null ? null : await run(owned, saved, room));
  } catch (thrown) {
    if (owned.lost.aborted) throw thrown;
    await failed(owned, toAppError(thrown), { isRecovering, saved });
  } finally {
    await giveRoom(owned);
  }
}

/**
 * A task that has failed, or whose recovery has not yet shown that it is well: what was adjusted for it still is. Not one whose trouble was
 * forgotten since, because its connection is another one now.
 */
export function isBeingRecovered({ state, failedSince, adjustments }: StoredTask): boolean {
  return (state === 'failed' && failedSince !== null) || Object.keys(adjustments).length > 0;
}

function beginning({ fence, attempts, adjustments }: StoredTask, isRecovering: boolean) {
  return isRecovering ? { fence, recovery: attempts, adjustments } : { fence };
}

async function run(owned: Owned, saved: SavedEnds, { jobs, lanes }: Fit): Promise<Outcome | null> {
  const { parts } = owned;
  const ends = await patiently(owned.leaving, () => reachEnds(parts, saved));
  // As it is now: of what changes from here on the thread is told.
  const { task } = owned;
  const spec = { ...task.spec, ...task.adjustments, jobs, lanes };
  const known = { taskId: task.engineTaskId, halts: marksOf(task) };
  const limits = limitsAt(task, new Date());
  const request = { ...requestOf(spec, ends), ...limits, streamPatienceMs: STREAM_PATIENCE_MS, known };
  await using reporter = new Reporter({
    store: parts.store,
    log: parts.log,
    taskId: task.id,
    fence: task.fence,
    leaving: owned.leaving,
    onFenced: () => void owned.refresh().catch(() => {}),
  });
  await using well = new Wellness(owned);
  using stages = new StageSpans(currentSpan());
  await using _wishes = await granting(owned, () => grantWishes(owned, ends.target));
  return await inThread(
    owned,
    { kind: 'migrate', request },
    {
      onTask: (engineTaskId) => note(owned, engineTaskId),
      onProgress: (told) => reporter.progress(told),
      onEvent: (event) => {
        stages.at(event.phase);
        reporter.note(event.level === 'warn' ? 'warning' : 'phase', phaseFacts(event));
        if (event.phase === 'stream' && event.level === 'info') well.inStep();
        else well.moving(event.phase);
      },
    },
  );
}

/** The id under which the books on the target will have the task. */
function note({ parts, task, leaving }: Owned, engineTaskId: string): Promise<void> {
  const { id: taskId, fence } = task;
  return patiently(leaving, () => setEngineTask(parts.store, { taskId, fence, engineTaskId }));
}

/** One after the other: those that were there before, before the run begins; none goes on once the run is over. */
async function granting(owned: Owned, grant: () => Promise<void>): Promise<AsyncDisposable> {
  let busy: Promise<void> | null = null;
  const { log } = owned.parts;
  const tryTo = () =>
    grant().catch((thrown: unknown) =>
      log.failure(thrown, 'wishes for tables wait', { task: owned.task.id, level: 'warn' }),
    );
  await tryTo();
  owned.onWish(() => {
    busy ??= tryTo().finally(() => void (busy = null));
  });
  return {
    [Symbol.asyncDispose]: async () => {
      owned.onWish(null);
      await busy;
    },
  };
}

function phaseFacts({ phase, message }: MigrationEvent) {
  return { phase, message };
}

/** Tells the store when a run has come so far that the trouble before it is over. */
class Wellness implements AsyncDisposable {
  private settled: Promise<void> = Promise.resolve();
  private readonly owned: Owned;
  private timer: NodeJS.Timeout | null = null;
  private isInStep = false;

  constructor(owned: Owned) {
    this.owned = owned;
  }

  /** Both servers have answered, and the work goes on where it was. */
  moving(phase: MigrationEvent['phase']): void {
    if (this.timer !== null || phase === 'connect' || phase === 'check' || phase === 'prepare') return;
    this.timer = setTimeout(() => this.tell(() => this.calm()), WELL_MS).unref();
  }

  inStep(): void {
    this.moving('stream');
    if (this.isInStep) return;
    this.isInStep = true;
    const { attempts, failedSince, nextAttemptAt } = this.owned.task;
    // Not well yet: a task that fails again a moment later goes on counting.
    this.tell(() => this.owned.go('in-step', { set: { attempts, failedSince, nextAttemptAt } }));
  }

  private async calm(): Promise<void> {
    const { owned } = this;
    const { state, attempts, failedSince, id, fence } = owned.task;
    if (state === 'retrying') await owned.go('recovered');
    if (attempts === 0 && failedSince === null) return;
    await patiently(owned.leaving, () => forgetTrouble(owned.parts.store, id, fence));
    await owned.refresh();
  }

  /** In order. What a person has asked for meanwhile comes first. */
  private tell(work: () => Promise<void>): void {
    this.settled = this.settled.then(work).catch((thrown: unknown) => {
      if (!isRefused(thrown) && !isFenced(thrown))
        this.owned.parts.log.failure(thrown, 'the state of a task was not written', {
          task: this.owned.task.id,
        });
    });
  }

  /** Before it is told how the run ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    await this.settled;
  }
}

/** The run came to its end, or to a safe point because it was to. */
async function ended(owned: Owned, outcome: Outcome | null): Promise<void> {
  const { state } = await owned.refresh();
  if (outcome?.kind === 'migrate' && outcome.summary.outcome !== 'stopped') {
    if (state === 'retrying') await owned.go('recovered');
    const { rowsCopied, bytesCopied, elapsedMs } = outcome.summary;
    const facts = { rowsCopied: String(rowsCopied), bytesCopied: String(bytesCopied), elapsedMs };
    await owned.go('completed', { facts });
  }
}

interface Failed {
  readonly isRecovering: boolean;
  readonly saved: SavedEnds | null;
}

async function failed(owned: Owned, error: AppError, { isRecovering, saved }: Failed): Promise<void> {
  const { parts } = owned;
  const task = await owned.refresh();
  parts.log.failure(error, 'the run of a task failed', {
    task: task.id,
    attempt: task.attempts,
    level: 'warn',
  });
  // Whatever fails after somebody asked for the end of it, or the worker is to leave it, fails because of that.
  if (task.state === 'pausing' || task.state === 'stopping' || owned.leaving.aborted) return;
  currentSpan().fail(error.code);
  const now = await patiently(owned.leaving, () => savedEnds(parts, task));
  const isOther = saved !== null && areOthers(saved, now);
  const trouble = isOther ? 'other' : troubleOf(error);
  const standing = await standingOf(owned, isRecovering && !isOther);
  const verdict = judge(trouble, standing, { nowMs: owned.now(), random: Math.random() });
  const since = new Date(verdict.sinceMs).toISOString();
  const facts = { code: error.code, attempt: task.attempts + 1 };
  const set = { failure: failureOf(error), failedSince: since, attempts: task.attempts + 1 };
  if (verdict.kind === 'retry') {
    const nextAttemptAt = new Date(verdict.atMs).toISOString();
    return owned.go('retrying', { facts: { ...facts, nextAttemptAt }, set: { ...set, nextAttemptAt } });
  }
  const nextAttemptAt = verdict.recoverAtMs === null ? null : new Date(verdict.recoverAtMs).toISOString();
  const adjustments = { ...verdict.adjustments };
  await haltFor(owned, error);
  await owned.go('failed', {
    facts: { ...facts, nextAttemptAt, adjustments },
    set: { ...set, attempts: isRecovering ? set.attempts : 0, nextAttemptAt, adjustments },
  });
}

/** Of a halt that the store has forgotten a person is told now: who lets the task go on knows of it. Elsewhere nothing of it is to be halted. */
async function haltFor(owned: Owned, { code, facts }: AppError): Promise<void> {
  if (code === 'TASK_ENDS_OTHER') return;
  await (code === 'TASK_HALTED' ? knowHalts(owned, [String(facts.mark)]) : halt(owned));
}

async function standingOf({ parts, task, leaving }: Owned, isRecovering: boolean): Promise<Standing> {
  const retry = await patiently(leaving, () => effectiveRetry(parts.store, task.id));
  return {
    isRecovering,
    sinceMs: task.failedSince === null ? null : Date.parse(task.failedSince),
    attempts: task.attempts,
    spec: task.spec,
    adjustments: task.adjustments as Adjustments,
    retry: {
      connectMinutes: retry?.connectMinutes ?? task.retryConnectMinutes,
      otherMinutes: retry?.otherMinutes ?? task.retryOtherMinutes,
    },
  };
}

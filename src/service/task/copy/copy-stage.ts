/** The slot with its snapshot, and the full copy under it or, after a loss, under a later one (data-plane P1–P4, I1–I3). */
import { AppError } from '../../../base/errors/app-error.ts';
import { backoffMs } from '../../../base/runtime/backoff.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import { parseSnapshot } from '../../../engine/change/snapshot.ts';
import { assertSlotUsable, readSlot } from '../../../engine/pg/slot/health.ts';
import { openHand, type HandOptions } from '../../../engine/pipeline/copy-hand.ts';
import { runCopy, type CopyEnd } from '../../../engine/pipeline/copy-run.ts';
import { dropSlot, ensurePublication, setReplicaIdentities } from '../../../engine/source/prepare.ts';
import {
  holdFreshSnapshot,
  holdSlotSnapshot,
  nextXid,
  type HeldSnapshot,
} from '../../../engine/source/snapshot-holder.ts';
import { openChunkReader } from '../../../engine/source/chunk-reader.ts';
import { endOfWal } from '../../../engine/pg/wal-position.ts';
import type { Overrun } from '../../../engine/source/source-limits.ts';
import { holdFence, recordedEnd, recordSlot, rememberSourceChange } from '../../../engine/target/task-row.ts';
import { openChunkWriter } from '../../../engine/target/chunk-writer.ts';
import { isComplete, readBooks } from './copy-books.ts';
import { CopyThreads, threadsFor } from './copy-threads.ts';
import { areLargeObjectsCopied, copyLargeObjects, planLargeObjects } from './large-objects.ts';
import { endForSource, guardSource } from './guard-source.ts';
import { chunkLabel, planCopy, type CopyPlan } from './copy-plan.ts';
import { recheckCopies } from './recheck-copies.ts';
import { enter, warn, type TaskRun } from '../task-run.ts';

const SLOT_WAIT_MS = 60_000;
const SNAPSHOT_ATTEMPTS = 10;

/** P1 and P2. The result holds S1; it is recorded before anything is read under it. */
export async function createSlotAndHold(run: TaskRun): Promise<HeldSnapshot> {
  const [source, target] = [await run.ends.source(), await run.ends.target()];
  const changed = await setReplicaIdentities(source, run.followed, (change) =>
    rememberSourceChange(target, run.taskId, change),
  );
  if (changed.length > 0)
    warn(run, `REPLICA IDENTITY FULL was set on tables without a key, until cleanup: ${changed.join(', ')}`);
  await ensurePublication(source, run.names.publication, run.followed);
  // A slot of our name that no row speaks of is from a run that died before it could write it down.
  await dropSlot(source, run.names.slot);
  const holder = await run.ends.openReplication('holder');
  try {
    // The control file would still name the old timeline for a while after a promotion.
    const { timeline } = await holder.one('IDENTIFY_SYSTEM');
    const held = await holdSlotSnapshot(holder, run.names.slot, source, SLOT_WAIT_MS);
    run.hooks.failpoints.pass('slot.after-create');
    const slot = { lsn: held.consistentPoint, snapshot: held.text, timeline: Number(timeline) };
    await recordSlot(target, run, slot);
    run.task = { ...run.task, phase: 'copy', slot };
    return held;
  } catch (thrown) {
    await holder.end();
    throw thrown;
  }
}

/**
 * Copies what is not done yet and passes the task on to its next phase. `first` is the slot's snapshot when it was taken in this run; it
 * is closed here. Throws TABLES_FAILED, after all others are done, when tables could not be copied (C10); SOURCE_PROTECTED when the copy
 * cost the source more than the task allows.
 *
 * Chunks commit without waiting for the disk, so a target that crashes may forget some that were answered. Only the phase's own commit
 * makes them durable, and it is made only where the target still has them all; what it forgot is copied again.
 */
export async function copyTables(run: TaskRun, first: HeldSnapshot | null): Promise<void> {
  let held: HeldSnapshot | null = first;
  let losses = 0;
  try {
    while (!(await patiently(run, () => passCopy(run)))) {
      held ??= await holdLater(run);
      const end = await copyUnder(run, held, held === first);
      if (end.kind === 'done' && end.failed.size === 0) continue;
      await held[Symbol.asyncDispose]();
      held = null;
      if (end.kind === 'stopped') run.hooks.signal.throwIfAborted();
      if (end.kind === 'over') throw await endForSource(run, end.over);
      if (end.kind === 'done') throw tablesFailed(end.failed);
      if (end.kind === 'failed' || (end.kind === 'snapshot-lost' && ++losses >= SNAPSHOT_ATTEMPTS))
        throw end.cause;
      if (end.kind === 'snapshot-lost')
        warn(run, `${end.cause.message} What is not copied yet is copied under a new snapshot.`);
    }
  } finally {
    await held?.[Symbol.asyncDispose]();
  }
}

async function holdLater(run: TaskRun): Promise<HeldSnapshot> {
  const { slot } = run.task;
  let hasStreamed = false;
  if (slot !== null) {
    const recorded = await recordedEnd(await run.ends.target(), run.taskId);
    // What is copied now is of use only with the changes since.
    assertSlotUsable(await readSlot(await run.ends.source(), run.names.slot), run.names.slot, recorded);
    hasStreamed = recorded > slot.lsn;
  }
  const held = await holdFreshSnapshot(() => run.ends.openSource('holder'), {
    covers: slot === null ? null : parseSnapshot(slot.snapshot),
    settled: hasStreamed ? await nextXid(await run.ends.source()) : null,
  });
  // The stream will have to get to its R: on an idle source what lies before that is flushed only when somebody asks.
  if (slot !== null) await endOfWal(await run.ends.source());
  return held;
}

/** One table: its own error. Several: one error that names them all. */
function tablesFailed(failed: ReadonlyMap<string, AppError>): AppError {
  const errors = [...failed.values()];
  const [first] = errors;
  if (first && errors.length === 1) return first;
  return new AppError('TABLES_FAILED', {
    count: errors.length,
    problems: errors.map((error) => error.message).join(' '),
  });
}

const RESTART_PATIENCE_MS = 120_000;

/** A target that restarts is back soon: what was asked of it is asked again. */
async function patiently<T>(
  run: TaskRun,
  ask: () => Promise<T>,
  signal: AbortSignal = run.hooks.signal,
): Promise<T> {
  const started = performance.now();
  const patience = run.request.patienceMs ?? RESTART_PATIENCE_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (thrown) {
      const passes =
        thrown instanceof AppError && (thrown.code === 'CONNECTION_LOST' || thrown.code === 'CONNECT_FAILED');
      if (!passes || signal.aborted || performance.now() - started > patience) throw thrown;
      await sleep(backoffMs(attempt, { firstMs: 200, maxMs: 5_000 }), signal);
    }
  }
}

/** True when every chunk is on the target and the phase that follows has been committed, durably, with that. */
async function passCopy(run: TaskRun): Promise<boolean> {
  run.hooks.signal.throwIfAborted();
  const target = await run.ends.target();
  return target.transaction(async () => {
    await holdFence(target, run.taskId, run.fence);
    if (!(await readBooks(target, run.taskId, run.tables)).every(isComplete)) return false;
    if (!(await areLargeObjectsCopied(run, target))) return false;
    await target.query("UPDATE _opendts.task SET phase = 'index' WHERE task_id = $1", [run.taskId]);
    run.task = { ...run.task, phase: 'index' };
    return true;
  });
}

type GuardedEnd = CopyEnd | { readonly kind: 'over'; readonly over: Overrun };

async function copyUnder(run: TaskRun, held: HeldSnapshot, isFirst: boolean): Promise<GuardedEnd> {
  using guard = guardSource(run, held);
  const { signal } = guard;
  const openReader = () =>
    openChunkReader({
      open: () => run.ends.openSource('copy'),
      control: () => run.ends.source(),
      held,
      throttle: run.throttle,
    });
  try {
    const plan = await patiently(
      run,
      async () => {
        const books = await readBooks(await run.ends.target(), run.taskId, run.tables);
        if (!isFirst) await recheckCopies(run, books, { held, openReader, signal });
        return planCopy(run);
      },
      signal,
    );
    const largeObjects = await patiently(run, () => planLargeObjects(run, { held, signal }), signal);
    const tables = await copyPlanned(run, plan, { held, isFirst, openReader, signal });
    const end = await copyLargeObjects(run, { plan: largeObjects, tables, held, signal });
    return guard.over === null || end.kind === 'done' ? end : { kind: 'over', over: guard.over };
  } catch (thrown) {
    if (guard.over !== null) return { kind: 'over', over: guard.over };
    if (thrown instanceof AppError && thrown.code === 'SNAPSHOT_LOST')
      return { kind: 'snapshot-lost', cause: thrown, failed: new Map() };
    throw thrown;
  }
}

interface Under {
  readonly held: HeldSnapshot;
  readonly isFirst: boolean;
  readonly openReader: () => ReturnType<typeof openChunkReader>;
  readonly signal: AbortSignal;
}

async function copyPlanned(
  run: TaskRun,
  plan: CopyPlan,
  { held, isFirst, openReader, signal }: Under,
): Promise<CopyEnd> {
  const started = performance.now();
  const { book } = run;
  enter(
    run,
    'copy',
    `copying ${plan.tables} tables in ${plan.chunks.length} chunks with ${run.request.jobs} jobs`,
  );
  book.beginCopy();
  const hand: HandOptions = {
    openReader,
    openWriter: () => openChunkWriter(() => run.ends.openTarget('copy')),
    taskId: run.taskId,
    fence: run.fence,
    // Under S1 every streamed change applies: nothing has to be compared with it.
    stamp: isFirst && run.task.slot !== null ? null : { text: held.text, readUntil: held.readUntil },
    failpoints: run.hooks.failpoints,
    signal,
  };
  await using threads = openThreads(run, held, hand);
  const end = await runCopy({
    chunks: plan.chunks,
    jobs: run.request.jobs,
    strict: run.request.strict,
    ...(run.request.patienceMs === undefined ? {} : { patienceMs: run.request.patienceMs }),
    openHand: () => threads?.openHand() ?? openHand(hand),
    signal,
    onStart: (chunk) => book.copying(chunkLabel(chunk)),
    onPass: (chunk, bytes, rows) => book.passing(chunkLabel(chunk), { bytes, rows }),
    onDone: (chunk, done) => book.copied(chunkLabel(chunk), done),
    onVoid: (chunk) => book.voided(chunkLabel(chunk)),
    onTableFailed: (table, error) => {
      book.failed(table);
      warn(run, `${error.message} ${error.remedy} The other tables go on.`);
    },
    onFewerWorkers: (left, error) =>
      warn(run, `${error.message} The copy goes on with ${left} connections on each side.`),
  });
  book.copyMs += performance.now() - started;
  return end.kind === 'done' || end.kind === 'snapshot-lost'
    ? { ...end, failed: new Map([...plan.failed, ...end.failed]) }
    : end;
}

/** Null where this thread suffices. */
function openThreads(run: TaskRun, held: HeldSnapshot, hand: HandOptions): CopyThreads | null {
  const { source, target, jobs } = run.request;
  const count = threadsFor(jobs);
  if (count === 0) return null;
  const { taskId, fence, stamp, failpoints, signal } = hand;
  const { exportedId, server } = held;
  const task = { source, target, taskId, fence, stamp, held: { exportedId, server } };
  return new CopyThreads({ count, task, throttle: run.throttle, failpoints, signal });
}

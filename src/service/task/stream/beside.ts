/**
 * Copies what is not copied yet while changes are applied (data-plane, "Rolling copy"): pass after pass, each under a fresh snapshot that
 * sees all that the stream has brought so far (I2). So no snapshot lives long, and the slot keeps little. Then the indexes that are
 * still missing are built.
 */
import type { AppError } from '../../../base/errors/app-error.ts';
import { backoffMs } from '../../../base/runtime/backoff.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import { LSN_ZERO, type Lsn } from '../../../engine/change/lsn.ts';
import { parseSnapshot } from '../../../engine/change/snapshot.ts';
import { currentSnapshot } from '../../../engine/pg/slot/create.ts';
import { endOfWal } from '../../../engine/pg/wal-position.ts';
import type { Intake } from '../../../engine/pipeline/intake.ts';
import type { SchemaPlan } from '../../../engine/schema/plan.ts';
import { tryFreshSnapshot, type HeldSnapshot } from '../../../engine/source/snapshot-holder.ts';
import { raiseCopyFence } from '../../../engine/target/books/task-row.ts';
import type { Copies, Firm } from '../copy/copies.ts';
import { isComplete, readBooks, withThoseBeside } from '../copy/copy-books.ts';
import { copyPass, patiently, type PassEnd } from '../copy/copy-pass.ts';
import { cutAll } from '../copy/copy-plan.ts';
import { tablesFailed } from '../copy/copy-stage.ts';
import { endForSource } from '../copy/guard-source.ts';
import { areLargeObjectsCopied, LARGE_OBJECTS } from '../copy/large-objects.ts';
import { readKeysOfBothEnds } from '../copy/range-units.ts';
import { analyze } from '../schema-stage.ts';
import { retryPreData, runPhases } from '../schema/run-phases.ts';
import { followSource } from '../source/source-history.ts';
import { warn, type TaskRun } from '../task-run.ts';
import type { Turns } from './turns.ts';

export interface Together {
  readonly intake: Intake;
  readonly copies: Copies;
  readonly turns: Turns;
}

/** A snapshot is let go after so long, so that the source's vacuum can go on. */
const PASS_MS = 5 * 60_000;
/** The stream stands still for so long at once, for commits to become visible that it has brought already. */
const SHUT_MS = 1_000;
const POLL_MS = 20;
const WARN_MS = 60_000;
const SMALL_BYTES = 16n * 1024n * 1024n;
const MAX_LOSSES = 10;

/** True when something of a followed table is not copied, or a large object. */
export async function hasRest(run: TaskRun): Promise<boolean> {
  if (!run.request.types.has('full')) return false;
  const target = await run.ends.target();
  const books = await readBooks(target, run.taskId, run.tables);
  return !books.every(isComplete) || !(await areLargeObjectsCopied(run, target));
}

/** The newest R of a later snapshot: from there on all tables are of one moment. LSN_ZERO when all were read under the slot's own. */
export async function reconciledFrom(run: TaskRun): Promise<Lsn> {
  let newest = LSN_ZERO;
  for (const { chunks } of await readBooks(await run.ends.target(), run.taskId, run.followed))
    for (const chunk of chunks)
      if (chunk?.readUntil != null && chunk.readUntil > newest) newest = chunk.readUntil;
  return newest;
}

/** Copies the rest and builds what waits for it. Returns what could not be copied; throws AppError where nothing can go on. */
export async function copyBeside(
  run: TaskRun,
  plan: SchemaPlan,
  together: Together,
): Promise<AppError | null> {
  const hasCopied = run.request.types.has('full') && (await copyRest(run, together));
  await retryPreData(run, plan);
  await runPhases(run, plan, ['index'], { besideStream: true });
  if (hasCopied) await analyze(run);
  const { leftBehind } = together.copies;
  return leftBehind.size > 0 ? tablesFailed(leftBehind) : null;
}

/** False when there was nothing to copy. */
async function copyRest(run: TaskRun, together: Together): Promise<boolean> {
  const { signal } = run.hooks;
  const { copies } = together;
  for (let passes = 0, losses = 0, left = 0; ; passes++) {
    const end = await together.turns.copy(signal, (enough) => copyOnce(run, together, enough));
    if (end === null) return passes > 0;
    if (end.kind === 'stopped') signal.throwIfAborted();
    if (end.kind === 'failed') throw end.cause;
    if (end.kind === 'over') throw await endForSource(run, end.over);
    if (end.kind !== 'snapshot-lost') continue;
    if (copies.chunksLeft < left) losses = 0;
    left = copies.chunksLeft;
    if (++losses >= MAX_LOSSES) throw end.cause;
    warn(run, `${end.cause.message} What is not copied yet is copied under a new snapshot.`);
  }
}

/** One pass; null when nothing is left that could be copied. */
async function copyOnce(run: TaskRun, together: Together, enough: AbortSignal): Promise<PassEnd | null> {
  const { copies } = together;
  await patiently(run, () => loadRest(run, copies));
  if (copies.isComplete && (await patiently(run, () => areOthersDone(run, copies)))) return null;
  await using held = await patiently(run, () => holdWithStream(run, together));
  try {
    const soon = AbortSignal.any([enough, AbortSignal.timeout(PASS_MS)]);
    const isHeld = copies.isPaused.bind(copies);
    const end = await copyPass(run, { held, isFirst: false, copies, isBeside: true, isHeld, enough: soon });
    if ('failed' in end) for (const [name, error] of end.failed) copies.giveUp(name, error);
    return end;
  } finally {
    // Of a run that ends nobody asks what has become of its units.
    if (!run.hooks.signal.aborted) await patiently(run, () => endPass(run, copies, held));
  }
}

/** Only what is not complete: a finished table's units stay as the stream knows them. */
async function loadRest(run: TaskRun, copies: Copies): Promise<void> {
  const books = withThoseBeside(run, await cutAll(run), (one) => !isComplete(one));
  copies.load(books, await readKeysOfBothEnds(run));
}

async function areOthersDone(run: TaskRun, { leftBehind }: Copies): Promise<boolean> {
  return leftBehind.has(LARGE_OBJECTS) || areLargeObjectsCopied(run, await run.ends.target());
}

/** I2. While a snapshot is taken the stream takes nothing in, so what it has brought is all there is to be seen. */
async function holdWithStream(run: TaskRun, { intake, copies }: Together): Promise<HeldSnapshot> {
  const { slot } = run.task;
  const needed = {
    covers: slot === null ? null : parseSnapshot(slot.snapshot),
    settled: null,
    received: intake.isSeenBy.bind(intake),
  };
  const started = performance.now();
  let hasWarned = false;
  for (let attempt = 1; ; attempt++) {
    intake.shut();
    try {
      const held = (await isReceivedSeen(run, intake))
        ? await tryFreshSnapshot(() => run.ends.openSource('holder'), needed)
        : null;
      if (held !== null) {
        copies.bindAll(held, firmOf(run.request));
        return await ready(run, held, copies);
      }
    } finally {
      intake.open();
    }
    if (!hasWarned && performance.now() - started > WARN_MS) {
      hasWarned = true;
      warn(run, NOT_SEEN);
    }
    await sleep(backoffMs(attempt, { firstMs: 50, maxMs: 2_000 }), run.hooks.signal);
    run.hooks.signal.throwIfAborted();
  }
}

/** However often they are written to: a unit for each worker, and small ones that take no longer. */
function firmOf({ jobs, chunkBytes = SMALL_BYTES }: TaskRun['request']): Firm {
  const small = chunkBytes < SMALL_BYTES ? chunkBytes : SMALL_BYTES;
  return { units: jobs, bytes: BigInt(jobs) * small };
}

const NOT_SEEN =
  'The copy waits: a commit on the source is not visible yet, perhaps because it waits for a synchronous standby, or a transaction that was open when this run began still is. Changes are applied meanwhile.';

/** What was received becomes visible within moments, where commits wait for a standby that answers. */
async function isReceivedSeen(run: TaskRun, intake: Intake): Promise<boolean> {
  const source = await run.ends.source();
  const deadline = performance.now() + SHUT_MS;
  for (;;) {
    const { now } = await source.one(`SELECT ${currentSnapshot(source.version)}::text AS now`);
    if (intake.isSeenBy(parseSnapshot(now ?? ''))) return true;
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS, run.hooks.signal);
    run.hooks.signal.throwIfAborted();
  }
}

/** The server it is held on must have in its history what was copied before; and the stream will have to get to its R. */
async function ready(run: TaskRun, held: HeldSnapshot, copies: Copies): Promise<HeldSnapshot> {
  try {
    await followSource(run);
    // On an idle source what lies before R is flushed only when somebody asks.
    await endOfWal(await run.ends.source());
    return held;
  } catch (thrown) {
    copies.release();
    await held[Symbol.asyncDispose]();
    throw thrown;
  }
}

/**
 * What the pass has committed is done, what it has not waits for another snapshot. A commit whose answer was lost is found in the books,
 * and none can come later: until that is certain the units stay as they are, and the stream waits for them.
 */
async function endPass(run: TaskRun, copies: Copies, { text }: HeldSnapshot): Promise<void> {
  if (copies.isCopying) {
    const target = await run.ends.target();
    run.task = { ...run.task, copyFence: await raiseCopyFence(target, run) };
    for (const { chunks } of await readBooks(target, run.taskId, run.tables))
      for (const chunk of chunks) if (chunk?.snapshot === text) copies.finish(chunk.id);
  }
  copies.release();
}

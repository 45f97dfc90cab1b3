/**
 * Copies what is not copied yet while changes are applied (data-plane, "Rolling copy"): pass after pass, each under a fresh snapshot that
 * sees all that the stream has brought so far (I2). So no snapshot lives long, and the slot keeps little. Then the indexes that are
 * still missing are built.
 */
import type { AppError } from '../../../base/errors/app-error.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import { LSN_ZERO, type Lsn } from '../../../engine/change/lsn.ts';
import { parseSnapshot } from '../../../engine/change/snapshot.ts';
import { endOfWal } from '../../../engine/pg/wal-position.ts';
import type { Intake } from '../../../engine/pipeline/intake.ts';
import type { SchemaPlan } from '../../../engine/schema/plan.ts';
import { neverCovered, tryFreshSnapshot, type HeldSnapshot } from '../../../engine/source/snapshot-holder.ts';
import { raiseCopyFence } from '../../../engine/target/task-row.ts';
import type { Copies } from '../copy/copies.ts';
import { isComplete, readBooks } from '../copy/copy-books.ts';
import { copyPass, patiently } from '../copy/copy-pass.ts';
import { cutAll } from '../copy/copy-plan.ts';
import { tablesFailed } from '../copy/copy-stage.ts';
import { endForSource } from '../copy/guard-source.ts';
import { areLargeObjectsCopied } from '../copy/large-objects.ts';
import { readKeysOfBothEnds } from '../copy/range-units.ts';
import { analyze, runPhases } from '../schema-stage.ts';
import { followSource } from '../source-history.ts';
import { warn, type TaskRun } from '../task-run.ts';

export interface Together {
  readonly intake: Intake;
  readonly copies: Copies;
}

/** A snapshot is let go after so long, so that the source's vacuum can go on. */
const PASS_MS = 5 * 60_000;
const RETRY_MS = 50;
const COVER_MS = 600_000;
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
  if (!(await hasRest(run))) {
    await runPhases(run, plan, ['index']);
    return null;
  }
  const failed = await copyRest(run, together);
  await runPhases(run, plan, ['index']);
  await analyze(run);
  return failed.size > 0 ? tablesFailed(failed) : null;
}

async function copyRest(run: TaskRun, { intake, copies }: Together): Promise<Map<string, AppError>> {
  const failed = new Map<string, AppError>();
  for (let losses = 0; ;) {
    run.hooks.signal.throwIfAborted();
    await patiently(run, () => loadRest(run, copies));
    if (copies.isComplete && (failed.size > 0 || !(await patiently(run, () => hasRest(run))))) return failed;
    await using held = await patiently(run, () => holdWithStream(run, { intake, copies }));
    try {
      const enough = AbortSignal.timeout(PASS_MS);
      const end = await copyPass(run, { held, isFirst: false, copies, isBeside: true, enough });
      if (end.kind === 'stopped') run.hooks.signal.throwIfAborted();
      if (end.kind === 'failed') throw end.cause;
      if (end.kind === 'over') throw await endForSource(run, end.over);
      if (end.kind === 'snapshot-lost') {
        if (++losses >= MAX_LOSSES) throw end.cause;
        warn(run, `${end.cause.message} What is not copied yet is copied under a new snapshot.`);
      }
      if ('failed' in end)
        for (const [table, error] of end.failed) {
          failed.set(table, error);
          copies.giveUp(table);
        }
    } finally {
      // Of a run that ends nobody asks what has become of its units.
      if (!run.hooks.signal.aborted) await patiently(run, () => endPass(run, copies));
    }
  }
}

/** Only what is not complete: a finished table's units stay as the stream knows them. */
async function loadRest(run: TaskRun, copies: Copies): Promise<void> {
  const books = (await cutAll(run)).filter((one) => !isComplete(one));
  copies.load(books, await readKeysOfBothEnds(run));
}

/** I2. While a snapshot is taken the stream takes nothing in, so what it has brought is all there is to be seen. */
async function holdWithStream(run: TaskRun, { intake, copies }: Together): Promise<HeldSnapshot> {
  const { slot } = run.task;
  const needed = {
    covers: slot === null ? null : parseSnapshot(slot.snapshot),
    settled: null,
    received: intake.isSeenBy.bind(intake),
  };
  const deadline = performance.now() + COVER_MS;
  for (;;) {
    intake.shut();
    try {
      const held = await tryFreshSnapshot(() => run.ends.openSource('holder'), needed);
      if (held !== null) {
        copies.bindAll(held);
        return await ready(run, held);
      }
    } finally {
      intake.open();
    }
    if (performance.now() > deadline) throw neverCovered();
    await sleep(RETRY_MS, run.hooks.signal);
    run.hooks.signal.throwIfAborted();
  }
}

/** The server it is held on must have in its history what was copied before; and the stream will have to get to its R. */
async function ready(run: TaskRun, held: HeldSnapshot): Promise<HeldSnapshot> {
  try {
    await followSource(run);
    // On an idle source what lies before R is flushed only when somebody asks.
    await endOfWal(await run.ends.source());
    return held;
  } catch (thrown) {
    await held[Symbol.asyncDispose]();
    throw thrown;
  }
}

/**
 * What the pass has committed is done, what it has not waits for another snapshot. A commit whose answer was lost is found in the books,
 * and none can come later: until that is certain the units stay as they are, and the stream waits for them.
 */
async function endPass(run: TaskRun, copies: Copies): Promise<void> {
  if (copies.isCopying) {
    const target = await run.ends.target();
    run.task = { ...run.task, copyFence: await raiseCopyFence(target, run) };
    for (const { chunks } of await readBooks(target, run.taskId, run.tables))
      for (const chunk of chunks) if (chunk !== null) copies.finish(chunk.id);
  }
  copies.release();
}

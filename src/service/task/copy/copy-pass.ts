/** One pass of the full copy: everything that can be copied under one held snapshot. */
import { AppError } from '../../../base/errors/app-error.ts';
import { backoffMs } from '../../../base/runtime/backoff.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import type { QualifiedName } from '../../../engine/change/relation.ts';
import { openHand, type CopyChunk, type HandOptions } from '../../../engine/pipeline/copy-hand.ts';
import { runCopy, type CopyEnd } from '../../../engine/pipeline/copy-run.ts';
import { openChunkReader } from '../../../engine/source/chunk-reader.ts';
import type { HeldSnapshot } from '../../../engine/source/snapshot-holder.ts';
import type { Overrun, SourceState } from '../../../engine/source/source-limits.ts';
import type { CopyThrottle } from '../../../engine/source/throttle.ts';
import { raiseCopyFence } from '../../../engine/target/books/task-row.ts';
import { openChunkWriter } from '../../../engine/target/copy/chunk-writer.ts';
import type { Copies } from './copies.ts';
import { isComplete, readBooks } from './copy-books.ts';
import { chunkLabel, planCopy, type CopyPlan } from './copy-plan.ts';
import type { HandTask } from './copy-thread-messages.ts';
import { CopyThreads, threadsFor } from './copy-threads.ts';
import { endHands } from './end-hands.ts';
import { guardSource } from './guard-source.ts';
import { copyLargeObjects, planLargeObjects } from './large-objects.ts';
import type { OfferedPass } from './more-hands.ts';
import { recheckCopies } from './recheck-copies.ts';
import { enter, warn, type TaskRun } from '../task-run.ts';

const RESTART_PATIENCE_MS = 120_000;

/** A target that restarts is back soon: what was asked of it is asked again. */
export async function patiently<T>(
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
        thrown instanceof AppError &&
        ['CONNECTION_LOST', 'CONNECT_FAILED', 'SOURCE_IS_STANDBY', 'SOURCE_FORMER'].includes(thrown.code);
      if (!passes || signal.aborted || performance.now() - started > patience) throw thrown;
      await sleep(backoffMs(attempt, { firstMs: 200, maxMs: 5_000 }), signal);
    }
  }
}

export type PassEnd =
  | CopyEnd
  /** The copy must end for the source's sake. */
  | { readonly kind: 'over'; readonly over: Overrun };

export interface Pass {
  readonly held: HeldSnapshot;
  /** It is the slot's own, taken in this run: nothing was copied before. */
  readonly isFirst: boolean;
  /** The units, where changes are followed. */
  readonly copies: Copies | null;
  /** Changes are applied meanwhile. */
  readonly isBeside: boolean;
  /** The table waits for a person: nothing of it is begun. */
  readonly isHeld?: (table: QualifiedName) => boolean;
  /** Aborts when the rest had better be copied under a later snapshot. */
  readonly enough: AbortSignal;
  readonly onSlot?: (slot: SourceState['slot']) => void;
}

/** Never leaves anything running. Throws AppError where it is not the end of one table or snapshot only. */
export async function copyPass(run: TaskRun, pass: Pass): Promise<PassEnd> {
  const { held, isFirst, copies } = pass;
  using guard = guardSource(run, held, pass.onSlot);
  const { signal } = guard;
  const openReader = (throttle: CopyThrottle) =>
    openChunkReader({
      open: () => run.ends.openSource('copy'),
      control: () => run.ends.source(),
      held,
      throttle,
    });
  try {
    const plan = await patiently(
      run,
      async () => {
        const books = await readBooks(await run.ends.target(), run.taskId, run.tables);
        // What waits for a person in the middle of its copy is looked at when it goes on.
        const moving = books.filter((one) => isComplete(one) || !(pass.isHeld?.(one.table) ?? false));
        if (!isFirst)
          await recheckCopies(run, moving, { held, openReader: () => openReader(run.throttle), signal });
        const plan = await planCopy(run, pass.isHeld);
        copies?.keep(plan.done);
        for (const [table, error] of plan.failed) copies?.giveUp(table, error);
        return plan;
      },
      signal,
    );
    const largeObjects = await patiently(run, () => planLargeObjects(run, { held, signal }), signal);
    const tables = await copyPlanned(run, plan, { ...pass, openReader, signal });
    const end = await copyLargeObjects(run, { plan: largeObjects, tables, held, signal });
    return guard.over === null || end.kind === 'done' ? end : { kind: 'over', over: guard.over };
  } catch (thrown) {
    if (guard.over !== null) return { kind: 'over', over: guard.over };
    if (thrown instanceof AppError && thrown.code === 'SNAPSHOT_LOST')
      return { kind: 'snapshot-lost', cause: thrown, failed: new Map() };
    throw thrown;
  }
}

interface Under extends Pass {
  readonly openReader: (throttle: CopyThrottle) => ReturnType<typeof openChunkReader>;
  readonly signal: AbortSignal;
}

async function copyPlanned(run: TaskRun, plan: CopyPlan, under: Under): Promise<CopyEnd> {
  const { book } = run;
  const started = performance.now();
  enter(
    run,
    under.isBeside ? book.phase : 'copy',
    `copying ${plan.tables} tables in ${plan.chunks.length} chunks with ${run.request.jobs} jobs`,
  );
  book.beginCopy();
  const { end, isSure } = await copyOffered(run, plan, under);
  // What a hand of another machine may still commit must not come into the next pass. The next owner of the task raises it anyway.
  if (!isSure && end.kind !== 'stopped' && end.kind !== 'failed') {
    const raised = await patiently(
      run,
      async () => raiseCopyFence(await run.ends.target(), run),
      under.signal,
    );
    run.task = { ...run.task, copyFence: raised };
  }
  book.copyMs += performance.now() - started;
  return 'failed' in end ? { ...end, failed: new Map([...plan.failed, ...end.failed]) } : end;
}

/** `isSure`: no hand of another machine can commit any more. */
async function copyOffered(
  run: TaskRun,
  plan: CopyPlan,
  under: Under,
): Promise<{ end: CopyEnd; isSure: boolean }> {
  const task = handTask(run, under);
  const offered = run.hooks.moreHands?.offer({
    task,
    jobs: run.request.jobs,
    throttle: run.throttle,
    signal: under.signal,
    say: (message) => run.hooks.onEvent({ level: 'info', phase: run.book.phase, message }),
    endHands: (hands) => endHands(run.ends, run.taskId, hands),
  });
  let end: CopyEnd;
  try {
    end = await copyAll(run, plan, { ...under, task, offered: offered ?? null });
  } finally {
    await offered?.[Symbol.asyncDispose]();
  }
  return { end, isSure: offered?.isSure ?? true };
}

function handTask(run: TaskRun, { held, isFirst }: Under): HandTask {
  const { exportedId, server, text, readUntil } = held;
  return {
    taskId: run.taskId,
    copyFence: run.task.copyFence,
    // Under S1 every streamed change applies: nothing has to be compared with it.
    stamp: isFirst && run.task.slot !== null ? null : { text, readUntil },
    held: { exportedId, server },
  };
}

interface Hands extends Under {
  readonly task: HandTask;
  readonly offered: OfferedPass | null;
}

async function copyAll(
  run: TaskRun,
  plan: CopyPlan,
  { copies, isHeld, enough, openReader, signal, task, offered }: Hands,
): Promise<CopyEnd> {
  const { book } = run;
  const { taskId, copyFence, stamp } = task;
  const { failpoints } = run.hooks;
  const throttle = offered?.throttle ?? run.throttle;
  const hand: HandOptions = {
    openReader: () => openReader(throttle),
    openWriter: () => openChunkWriter(() => run.ends.openTarget('copy')),
    taskId,
    copyFence,
    stamp,
    failpoints,
    signal,
  };
  await using threads = openThreads(run, { task, throttle, signal });
  return await runCopy({
    chunks: plan.chunks.filter(({ id }) => !copies?.isGivenUp(id)),
    jobs: run.request.jobs,
    strict: run.request.strict,
    ...(run.request.patienceMs === undefined ? {} : { patienceMs: run.request.patienceMs }),
    guests: offered,
    openHand: () => threads?.openHand() ?? openHand(hand),
    signal,
    enough,
    ...(isHeld ? { isHeld: ({ read }: CopyChunk) => isHeld(read.table) } : {}),
    ...(copies === null
      ? {}
      : {
          claim: ({ id }: CopyChunk) => copies.claim(id),
          isBegun: ({ id }: CopyChunk) => copies.isBegun(id),
          onLeft: ({ id }: CopyChunk) => copies.leave(id),
        }),
    onStart: (chunk) => book.copying(chunkLabel(chunk)),
    onPass: (chunk, bytes, rows) => book.passing(chunkLabel(chunk), { bytes, rows }),
    onDone: (chunk, done) => {
      book.copied(chunkLabel(chunk), done);
      copies?.finish(chunk.id);
    },
    onVoid: (chunk) => book.voided(chunkLabel(chunk)),
    onTableFailed: (table, error) => {
      book.failed(table);
      copies?.giveUp(table, error);
      warn(run, `${error.message} ${error.remedy} The other tables go on.`);
    },
    onFewerWorkers: (left, error) =>
      warn(run, `${error.message} The copy goes on with ${left} connections on each side.`),
  });
}

/** Null where this thread suffices. */
function openThreads(
  run: TaskRun,
  { task, throttle, signal }: { task: HandTask; throttle: CopyThrottle; signal: AbortSignal },
): CopyThreads | null {
  const { source, target, jobs } = run.request;
  const count = threadsFor(jobs);
  if (count === 0) return null;
  const { failpoints } = run.hooks;
  return new CopyThreads({ count, task: { ...task, source, target }, throttle, failpoints, signal });
}

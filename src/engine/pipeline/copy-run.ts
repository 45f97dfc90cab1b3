/**
 * Copies chunks under one held snapshot, several at a time. A chunk is one transaction on the target (P4): what is done stays done, what
 * is not is copied again, under this snapshot or a later one (I3). What concerns one table only sets that table aside.
 */
import { toAppError, type AppError } from '../../base/errors/app-error.ts';
import { backoffMs } from '../../base/runtime/backoff.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { displayName } from '../change/relation.ts';
import type { DoneChunk } from '../target/books/done-chunks.ts';
import { fateOf } from './copy-fate.ts';
import type { CopyChunk, CopyHand } from './copy-hand.ts';
import { planBatches, type Batch } from './copy-order.ts';

export interface CopyRun {
  readonly chunks: readonly CopyChunk[];
  readonly jobs: number;
  /** A table that cannot be copied ends the run at once. */
  readonly strict: boolean;
  /** Opens one more pair of connections. Throws CONNECT_FAILED or SNAPSHOT_LOST. */
  readonly openHand: () => Promise<CopyHand>;
  /** How long a batch may fail to reach its servers; by default as long as a restart may take. */
  readonly patienceMs?: number;
  readonly signal: AbortSignal;
  /** Once aborted, only what must be of one moment with what has been copied is begun. */
  readonly enough?: AbortSignal;
  /** Asked before a chunk is begun: false leaves it for another snapshot. */
  readonly claim?: (chunk: CopyChunk) => boolean;
  /** What must be of one moment with this chunk is copied already in part, or the chunk itself has been promised: it comes first. */
  readonly isBegun?: (chunk: CopyChunk) => boolean;
  /** The chunk is set aside with its table, and it is certain that nothing of it can still commit. */
  readonly onLeft?: (chunk: CopyChunk) => void;
  readonly onStart: (chunk: CopyChunk) => void;
  readonly onPass: (chunk: CopyChunk, bytes: number, rows: number) => void;
  readonly onDone: (chunk: CopyChunk, done: DoneChunk) => void;
  /** The attempt is over without result: what it counted is void. */
  readonly onVoid: (chunk: CopyChunk) => void;
  /** The table is set aside; its other chunks are not begun any more, those under way may still end. */
  readonly onTableFailed: (table: string, error: AppError) => void;
  /** A server has no connection left for one more worker; this many go on. */
  readonly onFewerWorkers: (left: number, error: AppError) => void;
}

export type CopyEnd =
  /** All is done but for the tables that were set aside, by name. */
  | { readonly kind: 'done'; readonly failed: ReadonlyMap<string, AppError> }
  /** Chunks were left for another snapshot. */
  | { readonly kind: 'rest'; readonly failed: ReadonlyMap<string, AppError> }
  /** What remains needs another snapshot. */
  | {
      readonly kind: 'snapshot-lost';
      readonly cause: AppError;
      readonly failed: ReadonlyMap<string, AppError>;
    }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly cause: AppError };

/** A server that restarts is back within this time; a batch that fails this often has another cause. */
const PATIENCE_MS = 120_000;
const ATTEMPTS = 40;

/** Never rejects. After a failure the other workers finish the batch they are at, so that their work is not lost. */
export async function runCopy(run: CopyRun): Promise<CopyEnd> {
  const crew = new Crew(run);
  await crew.work();
  if (run.signal.aborted) return { kind: 'stopped' };
  if (crew.failure !== null && crew.failure.code !== 'SNAPSHOT_LOST')
    return { kind: 'failed', cause: crew.failure };
  const cause = crew.failure ?? crew.later;
  if (cause !== null) return { kind: 'snapshot-lost', cause, failed: crew.failed };
  return { kind: crew.hasRest ? 'rest' : 'done', failed: crew.failed };
}

/** The workers of one run and what they share. */
class Crew {
  private readonly run: CopyRun;
  private readonly waiting: Batch[];
  private workers = 0;
  /** Chunks of which an attempt may have committed without our hearing of it. */
  private readonly unsure = new Set<string>();
  readonly failed = new Map<string, AppError>();
  /** Ends the run. */
  failure: AppError | null = null;
  /** Why a table waits for a later snapshot. */
  later: AppError | null = null;
  /** Chunks were not begun. */
  hasRest = false;

  constructor(run: CopyRun) {
    this.run = run;
    const isBegun = (batch: Batch) => batch.some((chunk) => run.isBegun?.(chunk) ?? false);
    const { begun = [], others = [] } = Object.groupBy(planBatches(run.chunks), (batch) =>
      isBegun(batch) ? 'begun' : 'others',
    );
    this.waiting = [...begun, ...others];
  }

  async work(): Promise<void> {
    this.workers = Math.min(this.run.jobs, this.waiting.length);
    await Promise.all(Array.from({ length: this.workers }, () => this.worker()));
  }

  private async worker(): Promise<void> {
    let hand: CopyHand | null = null;
    try {
      for (let batch = this.next(); batch; batch = this.next()) {
        const left = await this.copy(batch, hand);
        if (left === 'retired') return;
        hand = left;
      }
      this.workers--;
    } catch (thrown) {
      this.workers--;
      if (!this.run.signal.aborted) this.failure ??= toAppError(thrown);
    } finally {
      await hand?.[Symbol.asyncDispose]();
    }
  }

  private next(): Batch | null {
    while (this.failure === null && !this.run.signal.aborted) {
      const batch = this.waiting.shift();
      if (!batch) return null;
      const left = batch.filter((chunk) => !this.failed.has(tableOf(chunk)) && this.mayBegin(chunk));
      if (left.length > 0) return left;
    }
    return null;
  }

  private mayBegin(chunk: CopyChunk): boolean {
    const { enough, claim, isBegun } = this.run;
    const may = (!enough?.aborted || (isBegun?.(chunk) ?? false)) && (claim?.(chunk) ?? true);
    if (!may) this.hasRest = true;
    return may;
  }

  /** A lost connection costs the batch's attempt, not the run: both ends are opened anew while the snapshot is held. */
  private async copy(batch: Batch, current: CopyHand | null): Promise<CopyHand | null | 'retired'> {
    const { run } = this;
    let hand = current;
    let failingSince = performance.now();
    for (let attempt = 1; ; attempt++) {
      try {
        hand ??= await run.openHand();
        // Reaching both ends again counts: what took long was the copy itself.
        if (attempt > 1) failingSince = performance.now();
        const done = await hand.copy(batch, run);
        report(run, batch, done);
        return hand;
      } catch (thrown) {
        const isOpening = hand === null;
        await hand?.[Symbol.asyncDispose]();
        hand = null;
        for (const chunk of batch) run.onVoid(chunk);
        const error = toAppError(thrown);
        if (run.signal.aborted) throw error;
        if (isOpening && this.mayRetire(error)) return this.retire(batch, error);
        const fate = fateOf(error);
        if (fate === 'later' || fate === 'table') {
          this.setAside(batch, error, fate);
          return null;
        }
        // Its commit may be what got lost.
        if (!isOpening) for (const { id } of batch) this.unsure.add(id);
        if (
          fate === 'run' ||
          attempt >= ATTEMPTS ||
          performance.now() - failingSince > (run.patienceMs ?? PATIENCE_MS)
        )
          throw error;
        await sleep(backoffMs(attempt, { firstMs: 300, maxMs: 5_000 }), run.signal);
      }
    }
  }

  /** The server is short of connections, and others are at work. */
  private mayRetire(error: AppError): boolean {
    return this.workers > 1 && isShortOfConnections(error);
  }

  /** The batch goes back to the others. Counted at once: two that fail together must not both go as the last but one. */
  private retire(batch: Batch, error: AppError): 'retired' {
    this.workers--;
    this.waiting.unshift(batch);
    this.run.onFewerWorkers(this.workers, error);
    return 'retired';
  }

  /** Several tables in a batch are tried alone: only the one with the trouble is set aside. */
  private setAside(batch: Batch, error: AppError, fate: 'later' | 'table'): void {
    const [chunk] = batch;
    if (batch.length > 1 || !chunk) {
      this.waiting.unshift(...batch.map((one) => [one]));
      return;
    }
    if (fate === 'later') {
      this.later = error;
    } else {
      this.failed.set(tableOf(chunk), error);
      this.run.onTableFailed(tableOf(chunk), error);
      if (this.run.strict) throw error;
    }
    if (!this.unsure.has(chunk.id)) this.run.onLeft?.(chunk);
  }
}

/** The server has no connection left, for anybody or for our role or database. */
function isShortOfConnections(error: AppError): boolean {
  return error.code === 'CONNECT_FAILED' && error.cause instanceof Error && 'sqlstate' in error.cause
    ? error.cause.sqlstate === '53300'
    : false;
}

function tableOf(chunk: CopyChunk): string {
  return displayName(chunk.read.table);
}

function report(run: CopyRun, batch: Batch, done: readonly DoneChunk[]): void {
  const chunks = new Map(batch.map((chunk) => [chunk.id, chunk]));
  for (const one of done) {
    const chunk = chunks.get(one.id);
    if (chunk) run.onDone(chunk, one);
  }
}

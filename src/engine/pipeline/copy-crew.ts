/** The workers of one copy run and what they share: which batches wait, which tables are set aside, who of them has failed. */
import { toAppError, type AppError } from '../../base/errors/app-error.ts';
import { backoffMs } from '../../base/runtime/backoff.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { displayName } from '../change/relation.ts';
import type { DoneChunk } from '../target/books/done-chunks.ts';
import { fateOf } from './copy-fate.ts';
import type { CopyChunk, CopyHand } from './copy-hand.ts';
import { planBatches, type Batch } from './copy-order.ts';
import type { CopyRest, CopyRun } from './copy-run.ts';

/** A server that restarts is back within this time; a batch that fails this often has another cause. */
const PATIENCE_MS = 120_000;
const ATTEMPTS = 40;

export class Crew {
  private readonly run: CopyRun;
  private readonly waiting: Batch[];
  private workers = 0;
  /** Batches that guests are at: any of them may come back. */
  private lent = 0;
  private news = Promise.withResolvers<void>();
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
    const guests = new Set<Promise<void>>();
    this.run.guests?.follow(
      (hand) => void guests.add(this.guest(hand)),
      () => this.rest,
    );
    await Promise.all(Array.from({ length: this.workers }, () => this.worker()));
    await Promise.all(guests);
  }

  private get rest(): CopyRest {
    const bytes = this.waiting.flat().reduce((sum, { bytesEstimate }) => sum + bytesEstimate, 0n);
    return { batches: this.failure === null ? this.waiting.length : 0, bytes };
  }

  /** A hand of another machine. It is not opened again: what it cannot do is done by those that are here. */
  private async guest(hand: CopyHand): Promise<void> {
    try {
      for (let batch = await this.next(); batch; batch = await this.next())
        if (!(await this.lend(batch, hand))) return;
    } catch (thrown) {
      if (!this.run.signal.aborted) this.failure ??= toAppError(thrown);
    } finally {
      await hand[Symbol.asyncDispose]();
    }
  }

  /** False when the hand is of no use any more. */
  private async lend(batch: Batch, hand: CopyHand): Promise<boolean> {
    this.lent++;
    try {
      report(this.run, batch, await hand.copy(batch, this.run));
      return true;
    } catch (thrown) {
      for (const chunk of batch) this.run.onVoid(chunk);
      const error = toAppError(thrown);
      if (this.run.signal.aborted) throw error;
      const fate = fateOf(error);
      if (fate === 'later' || fate === 'table') {
        this.setAside(batch, error, fate);
      } else {
        // Perhaps it is that machine's own trouble; if not, our own hands meet it too.
        for (const { id } of batch) this.unsure.add(id);
        this.waiting.unshift(batch);
      }
      return false;
    } finally {
      this.lent--;
      this.news.resolve();
      this.news = Promise.withResolvers();
    }
  }

  private async worker(): Promise<void> {
    let hand: CopyHand | null = null;
    try {
      for (let batch = await this.next(); batch; batch = await this.next()) {
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

  private async next(): Promise<Batch | null> {
    while (this.failure === null && !this.run.signal.aborted) {
      const batch = this.waiting.shift();
      if (!batch) {
        if (this.lent === 0) return null;
        await this.news.promise;
        continue;
      }
      const left = batch.filter((chunk) => !this.isAside(chunk) && this.mayBegin(chunk));
      if (left.length > 0) return left;
    }
    return null;
  }

  private isAside(chunk: CopyChunk): boolean {
    return this.failed.has(tableOf(chunk)) || (this.run.isHeld?.(chunk) ?? false);
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

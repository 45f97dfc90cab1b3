/**
 * Copies units under one held snapshot, several at a time, largest first. A unit is one transaction on the target (P4): what is done
 * stays done, what is not is copied again, under this snapshot or a later one (I3).
 */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import type { Failpoints } from '../../base/runtime/failpoint.ts';
import { backoffMs } from '../../base/runtime/backoff.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import type { HeldSnapshot } from '../source/snapshot-holder.ts';
import type { UnitRead, UnitReader } from '../source/unit-reader.ts';
import type { DoneUnit, UnitWriter } from '../target/unit-writer.ts';

export interface CopyUnit {
  /** Stable over restarts. */
  readonly id: string;
  readonly bytesEstimate: bigint;
  readonly read: Omit<UnitRead, 'onBytes'>;
}

export interface CopyRun {
  readonly taskId: string;
  readonly fence: bigint;
  readonly units: readonly CopyUnit[];
  readonly jobs: number;
  /** `later` is false for the slot's own snapshot, under which every streamed change applies. */
  readonly held: Pick<HeldSnapshot, 'text' | 'readUntil'>;
  readonly later: boolean;
  readonly openReader: () => Promise<UnitReader>;
  readonly openWriter: () => Promise<UnitWriter>;
  readonly failpoints: Failpoints;
  readonly signal: AbortSignal;
  readonly onStart: (unit: CopyUnit) => void;
  readonly onBytes: (unit: CopyUnit, bytes: number) => void;
  readonly onDone: (unit: CopyUnit, done: DoneUnit) => void;
  /** The attempt is over without result: what it counted is void. */
  readonly onVoid: (unit: CopyUnit) => void;
}

export type CopyEnd =
  | { readonly kind: 'done' }
  /** The remaining units need another snapshot. */
  | { readonly kind: 'snapshot-lost'; readonly cause: AppError }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly cause: AppError };

/** A server that restarts is back within this time; a batch that fails this often has another cause. */
const PATIENCE_MS = 120_000;
const ATTEMPTS = 40;

/** Never rejects. After a failure the other workers finish the batch they are at, so that their work is not lost. */
export async function runCopy(run: CopyRun): Promise<CopyEnd> {
  const waiting = planBatches(run.units);
  const state: { failure: AppError | null } = { failure: null };
  const workers = Array.from({ length: Math.min(run.jobs, waiting.length) }, () => work(run, waiting, state));
  await Promise.all(workers);
  if (run.signal.aborted) return { kind: 'stopped' };
  if (state.failure === null) return { kind: 'done' };
  const lost = state.failure.code === 'SNAPSHOT_LOST' || state.failure.code === 'TABLE_REWRITTEN';
  return { kind: lost ? 'snapshot-lost' : 'failed', cause: state.failure };
}

type Batch = readonly CopyUnit[];

const BATCH_BYTES = 16n * 1024n * 1024n;
const BATCH_UNITS = 16;

/** Largest first; small tables share a transaction, because there the round trips are the work. */
export function planBatches(units: readonly CopyUnit[]): Batch[] {
  const sorted = units.toSorted((a, b) =>
    a.bytesEstimate < b.bytesEstimate ? 1 : a.bytesEstimate > b.bytesEstimate ? -1 : 0,
  );
  const batches: CopyUnit[][] = [];
  let bytes = 0n;
  for (const unit of sorted) {
    const last = batches.at(-1);
    const joins = last && last.length < BATCH_UNITS && bytes + unit.bytesEstimate <= BATCH_BYTES;
    if (joins) last.push(unit);
    else batches.push([unit]);
    bytes = joins ? bytes + unit.bytesEstimate : unit.bytesEstimate;
  }
  return batches;
}

async function work(run: CopyRun, waiting: Batch[], state: { failure: AppError | null }): Promise<void> {
  let ends: Ends | null = null;
  try {
    for (
      let batch = waiting.shift();
      batch && state.failure === null && !run.signal.aborted;
      batch = waiting.shift()
    ) {
      ends = await copyWithRetry(run, batch, ends);
    }
  } catch (thrown) {
    if (!run.signal.aborted) state.failure ??= toAppError(thrown);
  } finally {
    await close(ends);
  }
}

interface Ends {
  readonly reader: UnitReader;
  readonly writer: UnitWriter;
}

async function open(run: CopyRun): Promise<Ends> {
  const reader = await run.openReader();
  try {
    return { reader, writer: await run.openWriter() };
  } catch (thrown) {
    await reader[Symbol.asyncDispose]();
    throw thrown;
  }
}

async function close(ends: Ends | null): Promise<void> {
  await ends?.reader[Symbol.asyncDispose]();
  await ends?.writer[Symbol.asyncDispose]();
}

/** A lost connection costs the batch's attempt, not the run: both ends are opened anew while the snapshot is held. */
async function copyWithRetry(run: CopyRun, batch: Batch, current: Ends | null): Promise<Ends> {
  let ends = current;
  let failingSince = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      ends ??= await open(run);
      // Reaching both ends again counts: what took long was the copy itself.
      if (attempt > 1) failingSince = performance.now();
      await copyBatch(run, batch, ends);
      return ends;
    } catch (thrown) {
      await close(ends);
      ends = null;
      for (const unit of batch) run.onVoid(unit);
      const error = toAppError(thrown);
      const passes = error.code === 'CONNECTION_LOST' || error.code === 'CONNECT_FAILED';
      if (
        !passes ||
        attempt >= ATTEMPTS ||
        performance.now() - failingSince > PATIENCE_MS ||
        run.signal.aborted
      )
        throw error;
      await sleep(backoffMs(attempt, { firstMs: 300, maxMs: 5_000 }), run.signal);
    }
  }
}

async function copyBatch(run: CopyRun, batch: Batch, { reader, writer }: Ends): Promise<void> {
  const units = new Map(batch.map((unit) => [unit.id, unit]));
  await reader.lock(
    batch.map((unit) => unit.read.table),
    run.signal,
  );
  const write = {
    taskId: run.taskId,
    fence: run.fence,
    units: [...units.keys()],
    snapshot: run.later ? run.held.text : null,
    readUntil: run.later ? run.held.readUntil : null,
    beforeCommit: () => run.failpoints.pass('copy.before-unit-commit'),
  };
  const done = await writer.write(write, (id) => {
    const unit = units.get(id);
    if (!unit) throw new Error(`unknown unit ${id}`);
    run.onStart(unit);
    return reader.send(
      { ...unit.read, onBytes: (bytes) => run.onBytes(unit, bytes) },
      writer.session,
      run.signal,
    );
  });
  run.failpoints.pass('copy.after-unit-commit');
  for (const one of done) {
    const unit = units.get(one.unit);
    if (unit) run.onDone(unit, one);
  }
}

/**
 * Copies units under one held snapshot, several at a time, largest first. A unit is one transaction on the target (P4): what is done
 * stays done, what is not is copied again, under this snapshot or a later one (I3).
 */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import type { Failpoints } from '../../base/runtime/failpoint.ts';
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

const ATTEMPTS = 5;

/** Never rejects. After a failure the other workers finish the unit they are at, so that their work is not lost. */
export async function runCopy(run: CopyRun): Promise<CopyEnd> {
  const waiting = run.units.toSorted((a, b) =>
    a.bytesEstimate < b.bytesEstimate ? 1 : a.bytesEstimate > b.bytesEstimate ? -1 : 0,
  );
  const state: { failure: AppError | null } = { failure: null };
  const workers = Array.from({ length: Math.min(run.jobs, waiting.length) }, () => work(run, waiting, state));
  await Promise.all(workers);
  if (run.signal.aborted) return { kind: 'stopped' };
  if (state.failure === null) return { kind: 'done' };
  const lost = state.failure.code === 'SNAPSHOT_LOST' || state.failure.code === 'TABLE_REWRITTEN';
  return { kind: lost ? 'snapshot-lost' : 'failed', cause: state.failure };
}

async function work(run: CopyRun, waiting: CopyUnit[], state: { failure: AppError | null }): Promise<void> {
  let ends: Ends | null = null;
  try {
    for (
      let unit = waiting.shift();
      unit && state.failure === null && !run.signal.aborted;
      unit = waiting.shift()
    ) {
      ends = await copyWithRetry(run, unit, ends);
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

/** A lost connection costs the unit's attempt, not the run: both ends are opened anew while the snapshot is held. */
async function copyWithRetry(run: CopyRun, unit: CopyUnit, current: Ends | null): Promise<Ends> {
  let ends = current;
  for (let attempt = 1; ; attempt++) {
    try {
      ends ??= await open(run);
      await copyUnit(run, unit, ends);
      return ends;
    } catch (thrown) {
      await close(ends);
      ends = null;
      run.onVoid(unit);
      const error = toAppError(thrown);
      if (error.code !== 'CONNECTION_LOST' || attempt >= ATTEMPTS || run.signal.aborted) throw error;
      await sleep(200 * 2 ** attempt, run.signal);
    }
  }
}

async function copyUnit(run: CopyRun, unit: CopyUnit, { reader, writer }: Ends): Promise<void> {
  run.onStart(unit);
  const write = {
    taskId: run.taskId,
    fence: run.fence,
    unit: unit.id,
    snapshot: run.later ? run.held.text : null,
    readUntil: run.later ? run.held.readUntil : null,
    beforeCommit: () => run.failpoints.pass('copy.before-unit-commit'),
  };
  const read = { ...unit.read, onBytes: (bytes: number) => run.onBytes(unit, bytes) };
  const done = await writer.write(write, () => reader.send(read, writer.session, run.signal));
  run.failpoints.pass('copy.after-unit-commit');
  run.onDone(unit, done);
}

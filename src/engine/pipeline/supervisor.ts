/**
 * Keeps the stream running: opens both ends, runs it, and decides by its end what happens next. The only place that retries a stream.
 *
 * (V1) A lost connection is tried again with growing pauses until it has failed for `patienceMs` on end.
 * (V2) A window that did not go in as sets is read again in order; what fails in order too is its table's trouble.
 * (V3) A table that fails in order too stands still; the others go on.
 * (V4) Whatever the end, both connections are closed before anything else happens, so two readers never share the slot.
 */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import { backoffMs } from '../../base/runtime/backoff.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { LSN_ZERO, type Lsn } from '../change/lsn.ts';
import type { QualifiedName } from '../change/relation.ts';
import type { ChangeReader } from '../source/change-reader.ts';
import type { Applier } from '../target/apply/applier.ts';
import { runStream, type StreamEnd, type StreamRun } from './stream-run.ts';

/** What is true of the tables when a run begins. */
export type Tables = Pick<StreamRun, 'copies' | 'shapes' | 'names'>;

export interface Supervision extends Omit<StreamRun, 'reader' | 'applier' | 'orderedUntil' | keyof Tables> {
  readonly readTables: (applier: Applier) => Promise<Tables>;
  readonly openApplier: () => Promise<Applier>;
  readonly openReader: (applier: Applier) => Promise<ChangeReader>;
  readonly patienceMs: number;
  readonly onRetry: (error: AppError, waitMs: number) => void;
  readonly onReplay: (cause: unknown) => void;
  readonly onTableStopped: (table: QualifiedName, error: AppError) => void;
}

const STOOD_MS = 30_000;

/** Resolves when stopped, when `until` is reached, or when ranges must be copied again; throws AppError when a person must act. */
export async function superviseStream(
  supervision: Supervision,
): Promise<Extract<StreamEnd, { kind: 'stopped' | 'reached' | 'recopy' }>> {
  let orderedUntil = LSN_ZERO;
  let attempt = 0;
  let failingSince: number | null = null;
  const onApplied: StreamRun['onApplied'] = (applied) => {
    attempt = 0;
    failingSince = null;
    supervision.onApplied(applied);
  };
  for (;;) {
    if (supervision.signal.aborted) return { kind: 'stopped' };
    const started = performance.now();
    const end = await runOnce({ ...supervision, onApplied }, orderedUntil);
    switch (end.kind) {
      case 'stopped':
      case 'reached':
      case 'recopy':
        return end;
      case 'replay':
        orderedUntil = end.orderedUntil;
        supervision.onReplay(end.cause);
        break;
      case 'table-stopped':
        orderedUntil = LSN_ZERO;
        if (!end.isRepeated) supervision.onTableStopped(end.table, end.cause);
        break;
      case 'refresh':
        break;
      case 'broken': {
        const error = toAppError(end.cause);
        const passes = error.entry.retry === 'later' || isPassingServerError(end.cause);
        // A stream that stood for a while was in order, even if it had nothing to apply.
        if (performance.now() - started > STOOD_MS) failingSince = null;
        failingSince ??= performance.now();
        if (!passes || performance.now() - failingSince > supervision.patienceMs) throw error;
        attempt++;
        const waitMs = backoffMs(attempt, { firstMs: 200, maxMs: 10_000 });
        supervision.onRetry(error, waitMs);
        await sleep(waitMs, supervision.signal);
      }
    }
  }
}

/** Deadlocks, lock time-outs, serialization failures, a slot still held by a reader that is ending, a server short of resources or restarting. */
function isPassingServerError(cause: unknown): boolean {
  const sqlstate = cause instanceof Error && 'sqlstate' in cause ? String(cause.sqlstate) : '';
  return /^(08|40|53|55006|55P03|57)/.test(sqlstate);
}

async function runOnce(supervision: Supervision, orderedUntil: Lsn): Promise<StreamEnd> {
  try {
    await using applier = await supervision.openApplier();
    const tables = await supervision.readTables(applier);
    await using reader = await supervision.openReader(applier);
    return await runStream({ ...supervision, ...tables, applier, reader, orderedUntil });
  } catch (thrown) {
    return supervision.signal.aborted ? { kind: 'stopped' } : { kind: 'broken', cause: thrown };
  }
}

/**
 * How much WAL the slot may keep, and for how long, before changes are applied beside the copy (C2). Below it one snapshot for all tables
 * is the simplest and fastest; beyond it the source's disk and its vacuum come first.
 */
import { gigabytes, type SourceState } from '../../../engine/source/source-limits.ts';
import type { TaskRun } from '../task-run.ts';

export interface WalBudget {
  readonly bytes: bigint;
  readonly ms: number;
}

/** As the product page has it. */
export const DEFAULT_BUDGET: WalBudget = { bytes: 10_000_000_000n, ms: 15 * 60_000 };

export interface BudgetWatch extends Disposable {
  /** Aborts when the budget is used up; never where no changes are followed. */
  readonly signal: AbortSignal;
  /** Why. */
  readonly reason: string;
  readonly onSlot: (slot: SourceState['slot']) => void;
  /** How fast the source writes, as far as it was seen; bytes a second. */
  readonly walBytesPerSecond: number;
  /** Since the watch began. */
  readonly elapsedSeconds: number;
}

interface Sample {
  readonly atMs: number;
  readonly bytes: bigint;
}

export function watchBudget(run: TaskRun): BudgetWatch {
  const used = new AbortController();
  const budget = run.request.walBudget ?? DEFAULT_BUDGET;
  const started = performance.now();
  let samples: { readonly first: Sample; readonly last: Sample } | null = null;
  let reason = '';
  const end = (why: string) => {
    if (used.signal.aborted) return;
    reason = why;
    used.abort();
  };
  const timer = run.request.types.has('incremental')
    ? setTimeout(
        () =>
          end(
            `The copy has taken ${Math.round(budget.ms / 60_000)} minutes, as long as the slot is to wait.`,
          ),
        budget.ms,
      ).unref()
    : undefined;
  return {
    signal: used.signal,
    get reason() {
      return reason;
    },
    get walBytesPerSecond() {
      if (samples === null || samples.last.atMs <= samples.first.atMs) return 0;
      const { first, last } = samples;
      return (Number(last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs);
    },
    get elapsedSeconds() {
      return (performance.now() - started) / 1000;
    },
    onSlot: (slot) => {
      if (typeof slot === 'string') return;
      const last = { atMs: performance.now(), bytes: slot.retainedBytes };
      samples = { first: samples?.first ?? last, last };
      if (slot.retainedBytes < budget.bytes) return;
      end(
        `The source keeps ${gigabytes(slot.retainedBytes)} of WAL for the slot, the budget is ${gigabytes(budget.bytes)}.`,
      );
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

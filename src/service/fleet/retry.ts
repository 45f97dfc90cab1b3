/**
 * What becomes of a task whose run has failed: tried again for the task's retry time, then failed, and from then on recovered for some
 * hours with other parameters; or left to a person at once. Pure: the clock is handed in.
 */
import type { AppError } from '../../base/errors/app-error.ts';
import type { ErrorCode } from '../../base/errors/errors.ts';
import { EXIT } from '../../base/errors/exit.ts';
import { backoffMs } from '../../base/runtime/backoff.ts';
import type { TaskSettings } from '../../contract/task-spec.ts';

/** `connect`: a server is not reached; `other`: it may go well next time; `trouble`: it may under other conditions; `person`: somebody must act. */
export type Trouble = 'connect' | 'other' | 'trouble' | 'person';

/** Of those that the table would never try again: a machine's fault, or one that has gone when the machine has changed. */
const MACHINE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'UNEXPECTED',
  'COPY_FAILED',
  'COPY_COUNT_DIFFERS',
  'TABLES_FAILED',
  'APPLY_FAILED',
]);

export function troubleOf(error: AppError): Trouble {
  // The task is ours in the store: a worker that was frozen may have taken the target over once more before it learnt that it is not its.
  if (error.code === 'FENCED') return 'other';
  if (error.entry.retry === 'later') return error.exit === EXIT.connection ? 'connect' : 'other';
  return MACHINE.has(error.code) ? 'trouble' : 'person';
}

/** What recovery has changed; parameters of the task only, never of a database. */
export interface Adjustments {
  readonly jobs?: number;
  readonly lanes?: number;
  readonly chunkMegabytes?: number;
}

/** Where the task stands when its run fails. */
export interface Standing {
  /** It had failed, and this run was to recover it. */
  readonly isRecovering: boolean;
  /** Since when it is in trouble; null: it was well until now. In milliseconds. */
  readonly sinceMs: number | null;
  /** Attempts in a row that failed, before this one. */
  readonly attempts: number;
  readonly spec: Pick<TaskSettings, 'jobs' | 'lanes' | 'chunkMegabytes'>;
  readonly adjustments: Adjustments;
  /** Of the task, or of the latest setting among those that share a database with it. */
  readonly retry: { readonly connectMinutes: number; readonly otherMinutes: number };
}

export type Verdict =
  | { readonly kind: 'retry'; readonly sinceMs: number; readonly atMs: number }
  | {
      readonly kind: 'fail';
      readonly sinceMs: number;
      /** Null: not before a person has acted. */
      readonly recoverAtMs: number | null;
      readonly adjustments: Adjustments;
    };

const RETRY = { firstMs: 1_000, maxMs: 60_000 };
const RECOVERY = { firstMs: 120_000, maxMs: 3_600_000 };
/** As the service of the cloud does. */
export const RECOVERY_MS = 8 * 3_600_000;
const MINUTE_MS = 60_000;

export interface Clock {
  readonly nowMs: number;
  /** In [0, 1): spreads many tasks. */
  readonly random: number;
}

export function judge(trouble: Trouble, standing: Standing, { nowMs, random }: Clock): Verdict {
  const { isRecovering, attempts } = standing;
  const sinceMs = standing.sinceMs ?? nowMs;
  const keep = { adjustments: standing.adjustments };
  if (trouble === 'person') return { kind: 'fail', sinceMs, recoverAtMs: null, ...keep };
  if (isRecovering) {
    // The first one was waited for when it failed.
    const recoverAtMs = nowMs + backoffMs(attempts + 2, RECOVERY, random);
    if (recoverAtMs - sinceMs > RECOVERY_MS) return { kind: 'fail', sinceMs, recoverAtMs: null, ...keep };
    return { kind: 'fail', sinceMs, recoverAtMs, adjustments: adjusted(standing) };
  }
  const minutes = trouble === 'connect' ? standing.retry.connectMinutes : standing.retry.otherMinutes;
  const atMs = nowMs + backoffMs(attempts + 1, RETRY, random);
  if (trouble !== 'trouble' && atMs - sinceMs <= minutes * MINUTE_MS) return { kind: 'retry', sinceMs, atMs };
  const recoverAtMs = nowMs + backoffMs(1, RECOVERY, random);
  // The eight hours begin where the retries end.
  return { kind: 'fail', sinceMs: nowMs, recoverAtMs, adjustments: adjusted(standing) };
}

const SMALL_CHUNK_MB = 8;
const USUAL_CHUNK_MB = 64;

/** Less at once: half the jobs, one lane, chunks of half the size. */
function adjusted({ spec, adjustments }: Standing): Adjustments {
  const { jobs, chunkMegabytes } = { ...spec, ...adjustments };
  return {
    jobs: Math.max(1, Math.floor(jobs / 2)),
    lanes: 1,
    chunkMegabytes: Math.min(
      chunkMegabytes ?? USUAL_CHUNK_MB,
      Math.max(SMALL_CHUNK_MB, (chunkMegabytes ?? USUAL_CHUNK_MB) / 2),
    ),
  };
}

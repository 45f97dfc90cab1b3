/**
 * Copies chunks under one held snapshot, several at a time. A chunk is one transaction on the target (P4): what is done stays done, what
 * is not is copied again, under this snapshot or a later one (I3). What concerns one table only sets that table aside.
 */
import type { AppError } from '../../base/errors/app-error.ts';
import type { DoneChunk } from '../target/books/done-chunks.ts';
import { Crew } from './copy-crew.ts';
import type { CopyChunk, CopyHand } from './copy-hand.ts';

export interface CopyRun {
  readonly chunks: readonly CopyChunk[];
  readonly jobs: number;
  /** A table that cannot be copied ends the run at once. */
  readonly strict: boolean;
  /** Opens one more pair of connections. Throws CONNECT_FAILED or SNAPSHOT_LOST. */
  readonly openHand: () => Promise<CopyHand>;
  /** Hands besides those `jobs`, which come and go by themselves. */
  readonly guests?: GuestHands | null;
  /** How long a batch may fail to reach its servers; by default as long as a restart may take. */
  readonly patienceMs?: number;
  readonly signal: AbortSignal;
  /** Once aborted, only what must be of one moment with what has been copied is begun. */
  readonly enough?: AbortSignal;
  /** Asked before a chunk is begun: its table is not to be copied any further, and nobody waits for it. */
  readonly isHeld?: (chunk: CopyChunk) => boolean;
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

/** What the hands that are there cannot begin on yet. */
export interface CopyRest {
  readonly batches: number;
  readonly bytes: bigint;
}

/** Hands of other machines. What happens to one of them costs the batch that it was at, which others copy then. */
export interface GuestHands {
  /** From now on `take` is given each hand that comes, to be closed by whom it was given to; `rest` may be asked how many more are of use. */
  follow(take: (hand: CopyHand) => void, rest: () => CopyRest): void;
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

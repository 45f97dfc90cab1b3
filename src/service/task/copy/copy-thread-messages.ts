/** What a copy thread and the thread that runs the task say to each other. All of it can be cloned. */
import { AppError } from '../../../base/errors/app-error.ts';
import { ERRORS, type ErrorCode } from '../../../base/errors/errors.ts';
import type { FailpointName } from '../../../base/runtime/failpoint.ts';
import type { ConnInfo } from '../../../engine/pg/conninfo/conninfo.ts';
import { PgError, sqlstateOf } from '../../../engine/pg/pg-error.ts';
import type { CopyChunk, HandOptions } from '../../../engine/pipeline/copy-hand.ts';
import type { ImportedSnapshot } from '../../../engine/source/import-snapshot.ts';
import type { CopyLimits } from '../../../engine/source/throttle.ts';
import type { DoneChunk } from '../../../engine/target/books/done-chunks.ts';

/** What a hand needs to copy for a task besides its connections. */
export interface HandTask {
  readonly taskId: string;
  readonly copyFence: bigint;
  readonly stamp: HandOptions['stamp'];
  readonly held: Pick<ImportedSnapshot, 'exportedId' | 'server'>;
}

/** What a thread is started with. */
export interface ThreadTask extends HandTask {
  readonly source: ConnInfo;
  readonly target: ConnInfo;
  readonly limits: CopyLimits;
  /** Two numbers: the thread sleeps on the second until a failpoint has been passed here. Null: none is armed. */
  readonly failpoints: Int32Array<SharedArrayBuffer> | null;
}

/** `hand` numbers the thread's pairs of connections. */
export type ToThread =
  /** `role` is in the names of its sessions. */
  | { readonly kind: 'open'; readonly hand: number; readonly role: string }
  | { readonly kind: 'close'; readonly hand: number }
  | { readonly kind: 'copy'; readonly hand: number; readonly batch: readonly CopyChunk[] }
  | { readonly kind: 'limits'; readonly limits: CopyLimits }
  | { readonly kind: 'stop' | 'end' };

export type FromThread =
  | { readonly kind: 'opened' | 'closed'; readonly hand: number }
  | { readonly kind: 'started'; readonly hand: number; readonly chunk: string }
  /** Summed up over a moment: a message for each read of a socket would cost more than the copy. */
  | {
      readonly kind: 'passed';
      readonly hand: number;
      readonly chunk: string;
      readonly bytes: number;
      readonly rows: number;
    }
  | { readonly kind: 'done'; readonly hand: number; readonly done: readonly DoneChunk[] }
  | { readonly kind: 'failed'; readonly hand: number; readonly error: ErrorMessage }
  | { readonly kind: 'failpoint'; readonly name: FailpointName };

/** An error on its way between threads: class and cause would not survive it. */
export interface ErrorMessage {
  readonly code: string | null;
  readonly facts: AppError['facts'];
  readonly message: string;
  readonly sqlstate: string | null;
}

export function toMessage(thrown: unknown): ErrorMessage {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (!(thrown instanceof AppError))
    return { code: null, facts: {}, message, sqlstate: sqlstateOf(thrown) ?? null };
  const { code, facts, cause } = thrown;
  return { code, facts, message, sqlstate: sqlstateOf(cause) ?? null };
}

export function fromMessage({ code, facts, message, sqlstate }: ErrorMessage): Error {
  const cause = sqlstate === null ? undefined : new PgError({ sqlstate, severity: 'ERROR', message });
  if (code === null || !(code in ERRORS)) return cause ?? new Error(message);
  return new AppError(code as ErrorCode, facts, cause);
}

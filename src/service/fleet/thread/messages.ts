/** What the thread of a task and its owner say to each other. All of it can be cloned. */
import type { StoredTableProgress, TaskProgress } from '../../../contract/api/task-progress.ts';
import type { MigrationEvent, MigrationSummary } from '../../../contract/progress.ts';
import type { StreamLimits } from '../../../engine/pipeline/stream-throttle.ts';
import type { CopyLimits } from '../../../engine/source/throttle.ts';
import type { CheckOutcome } from '../../task/check-migration.ts';
import type { CleanupRequest } from '../../task/release/cleanup.ts';
import type { ErrorMessage } from '../../task/copy/copy-thread-messages.ts';
import type { MigrationRequest } from '../../task/task-run.ts';

/** Without an end of its own: a signal ends it, or its last stage. */
export type Asked = Omit<MigrationRequest, 'until'>;

/** What a thread is started for. */
export type ThreadWork =
  | { readonly kind: 'migrate'; readonly request: Asked }
  | { readonly kind: 'precheck'; readonly request: Asked }
  | { readonly kind: 'release'; readonly request: CleanupRequest };

/** Where a task that copies finds hands of other workers. */
export interface Lenders {
  /** Of the store, with its password. */
  readonly address: string;
  readonly taskId: string;
  readonly fence: string;
}

export interface ThreadStart {
  readonly work: ThreadWork;
  /** Null: no other worker shares the store. */
  readonly lenders: Lenders | null;
  readonly failpoint: string | null;
}

export type ToTask =
  /** The store knows under which id it is. */
  | { readonly kind: 'task-known' }
  | { readonly kind: 'limits'; readonly limits: CopyLimits; readonly streamLimits: StreamLimits }
  | { readonly kind: 'stop' };

/** How the work of a thread ended, where it did not fail. */
export type Outcome =
  | { readonly kind: 'migrate'; readonly summary: MigrationSummary }
  | { readonly kind: 'precheck'; readonly checked: CheckOutcome }
  | { readonly kind: 'release'; readonly removed: readonly string[]; readonly kept: readonly string[] };

/** Where the work is. */
export interface ToldProgress {
  readonly progress: TaskProgress;
  /** Those that have changed since the last telling. */
  readonly tables: readonly StoredTableProgress[];
}

export type FromTask =
  /** Nothing is made under this id before it is known. */
  | { readonly kind: 'task'; readonly engineTaskId: string }
  | { readonly kind: 'event'; readonly event: MigrationEvent }
  | { readonly kind: 'progress'; readonly told: ToldProgress }
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'failed'; readonly error: ErrorMessage };

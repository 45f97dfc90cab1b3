/**
 * The owner of one task: whoever has its job. It takes the task, which raises the fence, and brings it to what is wanted of it; then gives
 * it back. Whatever it writes in the store says under which fence: from the moment that somebody else has the task nothing is written.
 */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import type { Log } from '../../base/runtime/log.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { throughout } from '../../base/tracing/span.ts';
import type { Tracing } from '../../base/tracing/tracing.ts';
import type { OwnerEvent } from '../../contract/api/task-states.ts';
import type { ConnectionSettings } from '../connection/saved-connections.ts';
import { findTask } from '../store/task/find-task.ts';
import { leaveTask } from '../store/task/owner/leave-task.ts';
import { takeTask } from '../store/task/owner/take-task.ts';
import type { StoredTask } from '../store/task/task-row.ts';
import type { TaskChange } from '../store/task/change-state.ts';
import type { Store } from '../store/store.ts';
import { transition } from '../task-life/transition.ts';
import { patiently } from './patiently.ts';
import { spanOfTask } from './task-span.ts';

/** Why an owner ends before the task is where it is wanted: `lost` to another one, `late` where the worker has no more time. */
export type Leaving = 'drain' | 'slice' | 'lost' | 'late';

export interface OwnerParts {
  readonly store: Store;
  readonly connections: ConnectionSettings;
  readonly workerId: string;
  /** Of the worker; null: it is in none. */
  readonly cluster: string | null;
  readonly log: Log;
  readonly tracing: Tracing;
  readonly failpoint: string | null;
}

/** What a step of a task works with. */
export interface Owned {
  readonly parts: OwnerParts;
  /** As it was when it was last read. */
  readonly task: StoredTask;
  /** Aborts when the owner is to leave the task, or has lost it. */
  readonly leaving: AbortSignal;
  /** Aborts when it has lost it, or has no more time: at once then, as in a death. */
  readonly lost: AbortSignal;
  /** The owner tells what became of the task. Throws FENCED or TASK_STATE_REFUSES. */
  go(event: OwnerEvent, more?: GoesWith): Promise<void>;
  /** Reads the task again. Throws FENCED. */
  refresh(): Promise<StoredTask>;
  /** Told each time that the task has changed. */
  onChange(listener: ((task: StoredTask) => void) | null): void;
  /** Told while persons want something for tables of the task. */
  onWish(listener: (() => void) | null): void;
  /** In milliseconds, by the clock of the store: the times that stand there are of it. */
  now(): number;
}

export interface GoesWith {
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly set?: TaskChange;
}

/** Does what a task in that state needs; false where it needs no owner now. */
export type Step = (owned: Owned) => Promise<boolean>;

/** A task that is tried again so soon is kept meanwhile. */
const KEEP_MS = 15_000;

export class Owner implements Owned {
  readonly parts: OwnerParts;
  readonly taskId: string;
  /** Settles when the task is given back, or lost; never rejects. */
  readonly finished: Promise<void>;
  private readonly step: Step;
  private readonly leave = new AbortController();
  private readonly gone = new AbortController();
  private current: StoredTask | null = null;
  private changed: ((task: StoredTask) => void) | null = null;
  private wished: (() => void) | null = null;
  /** So much the clock of the store is ahead of ours. */
  private aheadMs = 0;
  private isLate = false;

  constructor(parts: OwnerParts, taskId: string, step: Step) {
    this.parts = parts;
    this.taskId = taskId;
    this.step = step;
    this.finished = this.run();
  }

  get task(): StoredTask {
    if (this.current === null) throw new Error('not taken yet');
    return this.current;
  }

  get leaving(): AbortSignal {
    return this.leave.signal;
  }

  get lost(): AbortSignal {
    return this.gone.signal;
  }

  onChange(listener: ((task: StoredTask) => void) | null): void {
    this.changed = listener;
  }

  onWish(listener: (() => void) | null): void {
    this.wished = listener;
  }

  /** Somebody wants something for a table. */
  wish(): void {
    this.wished?.();
  }

  now(): number {
    return Date.now() + this.aheadMs;
  }

  /** To be left at the next safe point, or at once where it is lost or there is no time. */
  end(why: Leaving): void {
    const reason = new Error(`the task is left: ${why}`);
    this.isLate ||= why === 'late' && !this.lost.aborted;
    if (why === 'lost' || why === 'late') this.gone.abort(reason);
    this.leave.abort(reason);
  }

  /** The row of the task, as somebody has read it just now. */
  noticed(task: StoredTask): void {
    if (this.current === null) return;
    if (task.fence !== this.current.fence) {
      // What was read before it was taken is no news.
      if (BigInt(task.fence) > BigInt(this.current.fence)) this.end('lost');
      return;
    }
    if (task.version > this.current.version) this.learn(task);
  }

  /** Whoever follows the task is told of all that is new, whichever way it came; what was read before something newer is no news. */
  private learn(task: StoredTask): StoredTask {
    const before = this.task.version;
    if (task.version < before) return this.task;
    this.current = task;
    if (task.version > before) this.changed?.(task);
    // It was given to others.
    if (task.cluster !== this.parts.cluster) this.end('drain');
    return task;
  }

  async refresh(): Promise<StoredTask> {
    const task = await patiently(this.leaving, () => findTask(this.parts.store, this.taskId));
    if (task === null || task.fence !== this.task.fence) {
      this.end('lost');
      throw new AppError('FENCED', { theirs: task?.fence ?? 'none', ours: this.task.fence });
    }
    return this.learn(task);
  }

  async go(event: OwnerEvent, { facts = {}, set = {} }: GoesWith = {}): Promise<void> {
    const by = { workerId: this.parts.workerId, fence: this.task.fence };
    const gone = await patiently(this.leaving, () =>
      transition(this.parts.store, this.taskId, { event, by, facts, set }),
    );
    this.learn(gone);
  }

  private async run(): Promise<void> {
    const { store, workerId, log } = this.parts;
    try {
      if (!(await patiently(this.leaving, () => this.isForUs())) || this.leaving.aborted) return;
      const span = spanOfTask(this.parts, 'task take', this.taskId);
      this.current = await throughout(span, () =>
        patiently(this.leaving, () => takeTask(store, this.taskId, workerId)),
      );
      if (this.current === null) return;
      const { state, fence, updatedAt } = this.current;
      this.aheadMs = Date.parse(updatedAt) - Date.now();
      log.info('task taken', { task: this.taskId, state, fence });
      await this.work();
    } catch (thrown) {
      if (this.isLate) log.warn('task left where it was: no time to drain', { task: this.taskId });
      else if (isFenced(thrown)) log.warn('task is another worker’s', { task: this.taskId });
      else log.failure(thrown, 'task left', { task: this.taskId });
    }
  }

  /** A job may be of before the task was given to another cluster. */
  private async isForUs(): Promise<boolean> {
    const task = await findTask(this.parts.store, this.taskId);
    return task !== null && task.cluster === this.parts.cluster;
  }

  private async work(): Promise<void> {
    while (!this.leaving.aborted) {
      if (await this.oneStep()) continue;
      if (!(await this.isSoon())) break;
    }
    // Also where it was lost while nothing was to be done for it.
    if (this.lost.aborted) throw new AppError('FENCED', { theirs: 'newer', ours: this.task.fence });
  }

  /** A person may ask for something else while a step begins: then that is next. */
  private async oneStep(): Promise<boolean> {
    const { state } = this.task;
    try {
      return await this.step(this);
    } catch (thrown) {
      if (!isRefused(thrown) || (await this.refresh()).state === state) throw thrown;
      return true;
    }
  }

  /** Waits for an attempt that comes soon, or for whatever a person wants before. */
  private async isSoon(): Promise<boolean> {
    const { state, nextAttemptAt } = this.task;
    if (state !== 'retrying' || nextAttemptAt === null) return false;
    const wait = Date.parse(nextAttemptAt) - this.now();
    if (wait > KEEP_MS) return false;
    const news = new AbortController();
    this.onChange(() => news.abort());
    await sleep(Math.max(0, wait), AbortSignal.any([this.leaving, news.signal]));
    this.onChange(null);
    return true;
  }

  /** Another may have it from now on; nothing happens where another has it already. */
  async giveBack(): Promise<void> {
    if (this.current === null) return;
    await leaveTask(this.parts.store, this.taskId, this.current.fence);
  }
}

export function isFenced(thrown: unknown): boolean {
  return toAppError(thrown).code === 'FENCED';
}

export function isRefused(thrown: unknown): boolean {
  return toAppError(thrown).code === 'TASK_STATE_REFUSES';
}

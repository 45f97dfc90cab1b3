/**
 * A worker: says every few seconds that it lives, sees to it that each task that needs an owner has a job, takes jobs as far as it has room
 * and runs an owner for each. Any number of them share one store, on any number of machines.
 */
import type { Log } from '../../base/runtime/log.ts';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { armFailpoint, noFailpoints } from '../../base/runtime/failpoint.ts';
import { atMost, sleep } from '../../base/runtime/sleep.ts';
import { noTracing, type Tracing } from '../../base/tracing/tracing.ts';
import { DESIRES, TASK_STATES } from '../../contract/api/task-states.ts';
import type { ConnectionSettings } from '../connection/saved-connections.ts';
import { newestMigration } from '../store/migrate.ts';
import { findTasks } from '../store/task/find-tasks.ts';
import { leaveUnheld } from '../store/task/owner/leave-unheld.ts';
import { TASK_CHANNEL } from '../store/task/task-row.ts';
import { tasksToOwn } from '../store/task/owner/tasks-to-own.ts';
import { tasksWithWishes } from '../store/task/wish/tasks-with-wishes.ts';
import type { Store } from '../store/store.ts';
import { fairShare } from '../store/worker/fair-share.ts';
import { putWorker, type NewWorker } from '../store/worker/put-worker.ts';
import { removeWorker } from '../store/worker/remove-worker.ts';
import { seeWorker } from '../store/worker/see-worker.ts';
import { needsOwner } from '../task-life/states.ts';
import { KEEP_MS, openBossQueue } from './boss-queue.ts';
import type { JobQueue, Lease } from './job-queue.ts';
import { Bell } from './hands/bell.ts';
import { CopyHelper } from './hands/copy-helper.ts';
import { Owner } from './owner.ts';
import { runTask } from './run-task.ts';
import { startDue } from './start-due.ts';
import { endsOf } from './task-ends.ts';
import { spanOfTask } from './task-span.ts';

export interface WorkerOptions {
  readonly name: string;
  readonly region: string | null;
  /** It runs tasks of this cluster alone; null: those of none. */
  readonly cluster: string | null;
  /** Tasks at the same time. */
  readonly capacity: number;
  readonly drainSeconds: number;
  readonly version: string;
  readonly failpoint: string | null;
}

export interface WorkerParts {
  readonly store: Store;
  /** The same store through sessions of its own. */
  readonly anotherStore: () => Store;
  readonly connections: ConnectionSettings;
  readonly log: Log;
  /** None: nothing is traced. */
  readonly tracing?: Tracing;
}

/** Runs until it is disposed of, which drains it: it takes nothing more, its tasks end at a safe point, and others take them over. */
export interface RunningWorker extends AsyncDisposable {
  readonly id: string;
}

/** Of news that come one after the other. */
const PAUSE_MS = 250;
const KNOWS = newestMigration();
const LOST_MS = 5_000;
/** Who was not heard of for so long has nothing any more (tasks-to-own.ts). */
const GONE_MS = 10_000;
const SLICE_MS = 12 * 3_600_000;
const NEEDING = TASK_STATES.flatMap((state) =>
  DESIRES.filter((desired) => needsOwner({ state, desired })).map((desired) => `${state}/${desired}`),
);

/** Throws STORE_UNAVAILABLE. */
export async function startWorker(parts: WorkerParts, options: WorkerOptions): Promise<RunningWorker> {
  const { cluster } = options;
  const queue = await openBossQueue({ store: parts.anotherStore(), cluster, log: parts.log });
  return new Worker(parts, options, queue);
}

interface Held {
  readonly owner: Owner;
  /** Null: we have lost the job, or have ended it. */
  lease: Lease | null;
  readonly slice: NodeJS.Timeout;
  /** Settles when it is given back. */
  readonly given: Promise<void>;
}

class Worker implements RunningWorker {
  readonly id = randomUUID();
  private readonly parts: WorkerParts;
  private readonly options: WorkerOptions;
  private readonly queue: JobQueue;
  private readonly log: Log;
  private readonly seldom: Log;
  private readonly held = new Map<string, Held>();
  private readonly over = new AbortController();
  private readonly loops: Promise<void>;
  private readonly bell: Bell;
  private readonly helper: CopyHelper;
  private isDraining = false;
  private isEnding = false;
  private news = new AbortController();
  private seenAt: number | null = null;
  /** Until then others may not have said yet that they live: the store was away, or we were. */
  private blindUntil = -Infinity;
  /** In the store, by its clock. */
  private lastSeen: string | null = null;
  /** Tasks that have changed since the last round. */
  private told = new Set<string>();

  constructor(parts: WorkerParts, options: WorkerOptions, queue: JobQueue) {
    this.parts = parts;
    this.options = options;
    this.queue = queue;
    this.log = parts.log;
    this.seldom = parts.log.seldom(60);
    this.loops = Promise.all([this.turns(), this.listen()]).then(() => {});
    this.bell = new Bell(parts.store);
    const { tracing = noTracing } = parts;
    this.helper = new CopyHelper({
      store: parts.store,
      bell: this.bell,
      workerId: this.id,
      cluster: options.cluster,
      places: () => (this.isDraining ? 0 : Math.max(0, options.capacity - this.held.size)),
      endsOf: (taskId) => endsOf(parts, taskId),
      spanOf: (taskId) => spanOfTask({ tracing, workerId: this.id }, 'hand lent', taskId),
      failpoints: options.failpoint === null ? noFailpoints : armFailpoint(options.failpoint),
      onTrouble: (error) =>
        this.seldom.failure(error, 'a hand lent to a task of another worker failed', { level: 'warn' }),
    });
  }

  private async listen(): Promise<void> {
    while (!this.over.signal.aborted) {
      try {
        await this.parts.store.listen(TASK_CHANNEL, this.over.signal, (id) => this.hear(id));
      } catch (thrown) {
        this.seldom.failure(thrown, 'changes of tasks are not heard', { level: 'warn' });
      }
      await sleep(1_000, this.over.signal);
    }
  }

  private hear(id: string | null): void {
    if (id !== null) this.told.add(id);
    this.news.abort();
  }

  private async turns(): Promise<void> {
    while (!this.over.signal.aborted) {
      this.news = new AbortController();
      try {
        await this.turn();
      } catch (thrown) {
        this.seldom.failure(thrown, 'the worker cannot do its round', { level: 'warn' });
      }
      await sleep(PAUSE_MS, this.over.signal);
      await sleep(KEEP_MS - PAUSE_MS, AbortSignal.any([this.over.signal, this.news.signal]));
    }
  }

  private async turn(): Promise<void> {
    const { told } = this;
    this.told = new Set();
    const all = [...this.held.keys()];
    const isDue = this.seenAt === null || performance.now() - this.seenAt >= KEEP_MS - PAUSE_MS;
    if (isDue) await this.sayThatWeLive();
    await this.readTasks(isDue ? all : all.filter((id) => told.has(id)));
    if (this.isDraining || performance.now() < this.blindUntil) return;
    if (isDue) await startDue(this.parts.store);
    const { cluster, capacity } = this.options;
    const waiting = await tasksToOwn(this.parts.store, { cluster, needing: NEEDING });
    for (const id of waiting) await this.queue.ask(id);
    if (waiting.length === 0) return;
    // The others are to have theirs.
    const wanted = { workerId: this.id, cluster, waiting: waiting.length };
    const room = Math.min(capacity, await fairShare(this.parts.store, wanted)) - this.held.size;
    if (room > 0) for (const lease of await this.queue.take(room)) this.take(lease);
  }

  private async sayThatWeLive(): Promise<void> {
    const { store } = this.parts;
    const seen = await seeWorker(store, { id: this.id, knows: KNOWS, lastSeen: this.lastSeen });
    if (seen === null) await putWorker(store, this.row());
    else if (seen.isDraining || seen.isOutdated) this.drain();
    else if (!this.isEnding) this.isDraining = false;
    if (seen?.isOutdated === true)
      this.seldom.warn('the store is of a newer version by now', { worker: this.id });
    if (seen === null || seen.isOlder) this.loseAll();
    this.lastSeen = seen?.seenAt ?? null;
    await leaveUnheld(store, this.id, [...this.held.keys()]);
    await this.keepJobs();
    const now = performance.now();
    if (this.seenAt !== null && now - this.seenAt > GONE_MS) this.blindUntil = now + GONE_MS;
    this.seenAt = now;
  }

  /** Whose a task is the fence says: one whose job was lost goes on, unless somebody else has it by now. */
  private async keepJobs(): Promise<void> {
    const kept = await this.queue.keep([...this.held.values()].flatMap(({ lease }) => lease ?? []));
    for (const [task, held] of this.held) {
      if (held.lease === null || kept.has(held.lease.id)) continue;
      held.lease = null;
      this.log.warn('a job was lost: the worker, or the store, was away too long', { task });
    }
  }

  /** What the store says of our tasks is of a time before we took them: they are taken anew, by whomever. */
  private loseAll(): void {
    if (this.held.size > 0) this.log.warn('the store has forgotten this worker', { worker: this.id });
    for (const { owner } of this.held.values()) owner.end('lost');
  }

  private row(): NewWorker {
    const { name, version, region, cluster, capacity } = this.options;
    const { pid } = process;
    return { id: this.id, name, version, region, cluster, capacity, host: hostname(), pid, knows: KNOWS };
  }

  private async readTasks(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    for (const task of await findTasks(this.parts.store, ids)) this.held.get(task.id)?.owner.noticed(task);
    for (const id of await tasksWithWishes(this.parts.store, ids)) this.held.get(id)?.owner.wish();
  }

  private take(lease: Lease): void {
    const known = this.held.get(lease.taskId);
    if (known) {
      // Nobody else has taken the job since we lost it.
      known.lease = lease;
      return;
    }
    const { store, connections, tracing = noTracing } = this.parts;
    const { cluster, failpoint } = this.options;
    const owner = new Owner(
      { store, connections, workerId: this.id, cluster, log: this.log, tracing, failpoint },
      lease.taskId,
      runTask,
    );
    const slice = setTimeout(() => owner.end('slice'), SLICE_MS).unref();
    const given = owner.finished.then(() => this.giveBack(lease.taskId));
    this.held.set(lease.taskId, { owner, lease, slice, given });
    // It may have been told to since it asked.
    if (this.isDraining) owner.end('drain');
  }

  /** First the job, then the task: whoever hears of the task can then ask for a job. */
  private async giveBack(taskId: string): Promise<void> {
    const held = this.held.get(taskId);
    if (!held) return;
    clearTimeout(held.slice);
    const { lease } = held;
    held.lease = null;
    try {
      if (lease !== null) await this.queue.end(lease);
      await held.owner.giveBack();
    } catch (thrown) {
      this.seldom.failure(thrown, 'a task was not given back', { task: taskId, level: 'warn' });
    }
    this.held.delete(taskId);
    this.news.abort();
  }

  private drain(): void {
    if (this.isDraining) return;
    this.isDraining = true;
    this.log.info('draining', { worker: this.id, count: this.held.size });
    for (const { owner } of this.held.values()) owner.end('drain');
  }

  private async allGiven(): Promise<void> {
    await Promise.all([...this.held.values()].map(({ given }) => given));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isEnding = true;
    this.drain();
    const lent = this.helper.end(this.options.drainSeconds * 1000);
    await atMost(this.options.drainSeconds * 1000, this.allGiven(), new AbortController().signal);
    // What has not come to a safe point is ended as a dead process would be.
    for (const { owner } of this.held.values()) owner.end('late');
    await atMost(LOST_MS, this.allGiven(), new AbortController().signal);
    await lent;
    await this.bell[Symbol.asyncDispose]();
    this.over.abort();
    await this.loops;
    await removeWorker(this.parts.store, this.id).catch((thrown: unknown) =>
      this.log.failure(thrown, 'the worker was not signed off', { level: 'warn' }),
    );
    await this.queue[Symbol.asyncDispose]();
  }
}

/**
 * Live events of tasks, for all clients of a node. One session hears of changes in the store, which are read at most a few times a second
 * however many there are; progress, of which the store tells nothing, is looked for every second while somebody follows. Events carry all that
 * is said of a task, so that nothing is lost with one that is left out for a newer one.
 */
import { randomBytes } from 'node:crypto';
import { AppError } from '../../base/errors/app-error.ts';
import { backoffMs } from '../../base/runtime/backoff.ts';
import type { Log } from '../../base/runtime/log.ts';
import { atMost, sleep } from '../../base/runtime/sleep.ts';
import type { LiveEvent } from '../../contract/api/event-operations.ts';
import type { Store } from '../store/store.ts';
import { readTaskLines } from '../store/task/read-task-lines.ts';
import type { TaskLine } from '../store/task/task-line-row.ts';
import { TASK_CHANNEL } from '../store/task/task-row.ts';
import { AccessWatch, type Admitted } from './access-watch.ts';
import { Follower } from './follower.ts';
import { KnownTasks } from './known-tasks.ts';

export interface Wanted extends Admitted {
  /** Null: all tasks of the group. */
  readonly taskId: string | null;
  /** The last `id` that the client has seen, of this node or another. */
  readonly lastId: string | null;
  /** The client has gone. */
  readonly closed: AbortSignal;
}

export interface Sent {
  /** To go on from after it; null: there is no new one. */
  readonly id: string | null;
  readonly event: LiveEvent;
}

interface Group {
  readonly known: KnownTasks;
  readonly followers: Set<Follower>;
  /** Nobody looked while nobody followed: all of it has to be read once, which resolves `read`. */
  isFresh: boolean;
  read: PromiseWithResolvers<void>;
  idleSince: number;
}

const MOST_CLIENTS = 1000;
/** At most four times a second. */
const SPACING_MS = 250;
const LOOK_MS = 1_000;
/** All is read again, whatever was heard; and groups that nobody follows are forgotten. */
const ALL_MS = 60_000;
/** Rows say when they were written, not when that was committed. */
const OVERLAP_S = 10;
const QUIET_MS = 15_000;

export class LiveEvents implements AsyncDisposable {
  private readonly store: Store;
  private readonly log: Log;
  private readonly access: AccessWatch;
  private readonly stop = new AbortController();
  /** Since the first client. */
  private running: Promise<unknown> | null = null;
  /** Numbers of another node, or of this one before it was started again, are not ours. */
  private readonly epoch = randomBytes(6).toString('hex');
  private number = 0;
  private readonly groups = new Map<string, Group>();
  private woken = Promise.withResolvers<void>();
  private readonly heard = new Set<string>();
  private isAllWanted = true;
  private allAt = 0;
  private readAt = 0;
  private followed = 0;

  constructor(store: Store, log: Log) {
    this.store = store;
    this.log = log.seldom(60);
    this.access = new AccessWatch(store, log);
  }

  get clients(): number {
    return this.followed;
  }

  /**
   * Until the client goes, may no longer, or the node ends; null where there is nothing to say for a while. Throws EVENTS_FULL.
   */
  follow(wanted: Wanted): AsyncGenerator<Sent | null, void> {
    if (this.followed >= MOST_CLIENTS) throw new AppError('EVENTS_FULL', { count: MOST_CLIENTS });
    return this.send(wanted);
  }

  /** Ends what every client follows, and lets nobody follow any more. */
  end(): void {
    this.stop.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
    await this.access[Symbol.asyncDispose]();
    await this.running;
  }

  private async *send({ taskId, lastId, closed, ...admitted }: Wanted): AsyncGenerator<Sent | null, void> {
    const refused = new AbortController();
    const over = AbortSignal.any([closed, refused.signal, this.stop.signal]);
    const follower = new Follower(taskId);
    const unwatch = this.access.watch(admitted, () => refused.abort());
    const group = this.groupOf(admitted.groupId);
    group.followers.add(follower);
    this.running ??= Promise.all([this.listen(), this.run()]);
    this.followed++;
    try {
      while (!group.isFresh) {
        this.woken.resolve();
        await atMost(QUIET_MS, group.read.promise, over);
        if (over.aborted) return;
        if (!group.isFresh) yield null;
      }
      const seen = this.seen(lastId, group.known);
      if (seen === null) yield { id: null, event: { kind: 'reset' } };
      for (const told of group.known.after(seen)) follower.tell(told);
      for await (const one of follower.events(over))
        yield (
          one && {
            id: one.number === null ? null : `${this.epoch}-${one.number}`,
            event: one.event,
          }
        );
    } finally {
      unwatch();
      this.followed--;
      group.followers.delete(follower);
      if (group.followers.size === 0) {
        group.isFresh = false;
        group.read = Promise.withResolvers();
        group.idleSince = performance.now();
      }
    }
  }

  private groupOf(groupId: string): Group {
    const there = this.groups.get(groupId);
    if (there) return there;
    const group: Group = {
      known: new KnownTasks(() => ++this.number),
      followers: new Set(),
      isFresh: false,
      read: Promise.withResolvers(),
      idleSince: 0,
    };
    this.groups.set(groupId, group);
    return group;
  }

  /** From where the client can go on; null: it has to be told all. */
  private seen(lastId: string | null, { since }: KnownTasks): number | null {
    const [epoch, digits = ''] = (lastId ?? '').split('-');
    if (epoch !== this.epoch || !/^\d{1,15}$/.test(digits)) return null;
    return Number(digits) >= since ? Number(digits) : null;
  }

  private async listen(): Promise<void> {
    const { signal } = this.stop;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await this.store.listen(TASK_CHANNEL, signal, (payload) => {
          attempt = 1;
          // Something may have been said while nobody listened.
          if (payload === null) this.isAllWanted = true;
          else if (/^[0-9a-f-]{36}$/.test(payload)) this.heard.add(payload);
          this.woken.resolve();
        });
      } catch (thrown) {
        this.log.failure(thrown, 'changes of tasks are not heard', { level: 'warn' });
      }
      await sleep(backoffMs(attempt, { firstMs: 200, maxMs: 5_000 }), signal);
    }
  }

  private async run(): Promise<void> {
    const { signal } = this.stop;
    while (!signal.aborted) {
      try {
        await this.read();
      } catch (thrown) {
        this.isAllWanted = true;
        this.log.failure(thrown, 'changes of tasks are not read', { level: 'warn' });
      }
      await sleep(SPACING_MS, signal);
      await atMost(LOOK_MS, this.woken.promise, signal);
      this.woken = Promise.withResolvers();
    }
  }

  private async read(): Promise<void> {
    const now = performance.now();
    const isAll = this.isAllWanted || now - this.allAt > ALL_MS;
    if (isAll) this.forget(now - ALL_MS);
    const ids = [...this.heard];
    this.heard.clear();
    this.isAllWanted = false;
    const wanted = [...this.groups].filter(([, { followers }]) => followers.size > 0);
    const whole = wanted.filter(([, { isFresh }]) => isAll || !isFresh).map(([id]) => id);
    const rest = wanted.filter(([, { isFresh }]) => !isAll && isFresh).map(([id]) => id);
    const seconds = (now - this.readAt) / 1000 + OVERLAP_S;
    if (whole.length > 0) this.take(whole, await readTaskLines(this.store, whole, null), 'all');
    if (rest.length > 0) this.take(rest, await readTaskLines(this.store, rest, { seconds, ids }), ids);
    if (isAll) this.allAt = now;
    this.readAt = now;
  }

  private take(
    groupIds: readonly string[],
    lines: readonly TaskLine[],
    looked: 'all' | readonly string[],
  ): void {
    const byGroup = Map.groupBy(lines, ({ groupId }) => groupId);
    for (const groupId of groupIds) {
      const group = this.groups.get(groupId);
      if (!group) continue;
      for (const told of group.known.take(byGroup.get(groupId) ?? [], looked))
        for (const follower of group.followers) follower.tell(told);
      // Whoever has left meanwhile has made it stale again.
      if (looked === 'all' && group.followers.size > 0) {
        group.isFresh = true;
        group.read.resolve();
      }
    }
  }

  private forget(before: number): void {
    for (const [id, { followers, idleSince }] of this.groups)
      if (followers.size === 0 && idleSince < before) this.groups.delete(id);
  }
}

/**
 * When to look at a task again: the event stream of the server says that something has changed. Where it is refused, or nothing comes through
 * (a proxy may hold it back), the task is looked at every second instead.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { backoffMs } from '../../../base/runtime/backoff.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import type { TaskState } from '../../../contract/api/task-states.ts';
import { openEvents } from '../api-client.ts';
import type { Ask } from '../ask.ts';
import { readEvents, type SeenEvent } from './live-events.ts';

/** Figures change all the time, and are shown so often. */
const EVERY_MS = 1_000;
/** The timeline is no part of the events. */
const QUIET_MS = 5_000;
/** The server says at least every 15 s that it is there. */
const ALIVE_MS = 40_000;

export class TaskNews implements AsyncDisposable {
  private readonly ask: Ask;
  private readonly taskId: string;
  private readonly over = new AbortController();
  private readonly reading: Promise<void>;
  private lastId: string | null = null;
  private aliveAt = -Infinity;
  private told: TaskState | 'gone' | null = null;
  private hasNews = false;
  private woken = new AbortController();

  constructor(ask: Ask, taskId: string) {
    this.ask = ask;
    this.taskId = taskId;
    this.reading = this.read();
  }

  /** Until it is time to look at the task, which was in that state: at once when it is in another, and not after `deadline`. */
  async next(seen: TaskState, deadline: number): Promise<void> {
    const begun = performance.now();
    const quietMs = Math.min(QUIET_MS, deadline - Date.now());
    while (!this.over.signal.aborted && !this.ask.context.signal.aborted) {
      const waited = performance.now() - begun;
      const isOther = this.told !== null && this.told !== seen;
      if (isOther || waited >= quietMs || (waited >= EVERY_MS && (this.hasNews || !this.isAlive))) break;
      this.woken = new AbortController();
      const until = waited < EVERY_MS ? Math.min(EVERY_MS, quietMs) : quietMs;
      await sleep(until - waited, AbortSignal.any([this.woken.signal, this.ask.context.signal]));
    }
    this.hasNews = false;
    this.told = null;
  }

  private get isAlive(): boolean {
    return performance.now() - this.aliveAt < ALIVE_MS;
  }

  private async read(): Promise<void> {
    const { access, group, context } = this.ask;
    const signal = AbortSignal.any([this.over.signal, context.signal]);
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const bytes = await openEvents(access, { group, task: this.taskId }, { lastId: this.lastId, signal });
        for await (const seen of readEvents(bytes)) {
          attempt = 1;
          this.hear(seen);
        }
      } catch (thrown) {
        // Whoever looks at the task is told the same; there is nothing to follow then.
        if (thrown instanceof AppError && thrown.entry.retry !== 'later') return;
      }
      this.aliveAt = -Infinity;
      this.woken.abort();
      await sleep(backoffMs(attempt, { firstMs: 500, maxMs: 10_000 }), signal);
    }
  }

  private hear({ id, event }: SeenEvent): void {
    this.aliveAt = performance.now();
    if (id !== null) this.lastId = id;
    if (event?.kind === 'task') this.told = event.task.state;
    else if (event?.kind === 'gone') this.told = 'gone';
    else return;
    this.hasNews = true;
    this.woken.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.over.abort();
    await this.reading;
  }
}

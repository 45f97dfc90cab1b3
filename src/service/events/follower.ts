/**
 * One client that follows: what it has still to be told. Of each task only the newest waits, however slowly the client reads; it pulls, and
 * nothing is pushed into memory that it does not take.
 */
import { atMost } from '../../base/runtime/sleep.ts';
import type { LiveEvent } from '../../contract/api/event-operations.ts';
import type { Told } from './known-tasks.ts';

/** `number` is where to go on from after it; null: where it was. */
export interface Followed {
  readonly number: number | null;
  readonly event: LiveEvent;
}

/** Then something is sent, so that whoever stands between does not take the connection for dead. */
const QUIET_MS = 15_000;

export class Follower {
  private readonly taskId: string | null;
  private readonly waiting = new Map<string, Told>();
  private woken = Promise.withResolvers<void>();

  /** Null: all tasks of the group. */
  constructor(taskId: string | null) {
    this.taskId = taskId;
  }

  tell(told: Told): void {
    if (this.taskId !== null && told.taskId !== this.taskId) return;
    // To the end: numbers come in their order, or one that goes on from there would miss some.
    this.waiting.delete(told.taskId);
    this.waiting.set(told.taskId, told);
    this.woken.resolve();
  }

  /** What was told before the first is pulled, then `ready`, then what comes; null where nothing does for a while. */
  async *events(over: AbortSignal): AsyncGenerator<Followed | null, void> {
    const first = new Set(this.waiting.keys());
    let isReady = false;
    while (!over.aborted) {
      if (!isReady && first.size === 0) {
        isReady = true;
        yield { number: null, event: { kind: 'ready' } };
      }
      const told = this.take();
      if (told !== null) {
        first.delete(told.taskId);
        yield told;
      } else if (!(await this.comes(over)) && !over.aborted) yield null;
    }
  }

  private take(): Told | null {
    const [told] = this.waiting.values();
    if (told === undefined) return null;
    this.waiting.delete(told.taskId);
    return told;
  }

  private async comes(over: AbortSignal): Promise<boolean> {
    await atMost(QUIET_MS, this.woken.promise, over);
    this.woken = Promise.withResolvers();
    return this.waiting.size > 0;
  }
}

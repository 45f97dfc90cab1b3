/** A pass of another worker's task that this one lends hands to: the connections are the task's, the threads are ours. */
import type { Failpoints } from '../../../base/runtime/failpoint.ts';
import type { CopyHand } from '../../../engine/pipeline/copy-hand.ts';
import { CopyThrottle, type CopyLimits } from '../../../engine/source/throttle.ts';
import type { PickedPass } from '../../store/copy/pick-pass.ts';
import type { TaskEnds } from '../../task/request/request-of.ts';
import { CopyThreads, shareOf, threadsFor } from '../../task/copy/copy-threads.ts';
import { handRole, unpack } from './hand-message.ts';

export interface JoinOptions {
  /** What the connections of a task are, with their passwords. */
  readonly endsOf: (taskId: string) => Promise<TaskEnds>;
  readonly failpoints: Failpoints;
}

export class JoinedPass implements AsyncDisposable {
  readonly id: string;
  /** Hands that are open or being opened. */
  hands = 0;
  private readonly throttle: CopyThrottle;
  private readonly stopped = new AbortController();
  private readonly threads: Promise<CopyThreads>;
  private limits: CopyLimits;

  constructor(pass: PickedPass, options: JoinOptions) {
    this.id = pass.id;
    this.limits = pass.limits;
    this.throttle = new CopyThrottle(pass.limits);
    this.threads = this.open(pass, options);
    // Each hand hears of it when it is opened.
    this.threads.catch(() => {});
  }

  private async open(pass: PickedPass, { endsOf, failpoints }: JoinOptions): Promise<CopyThreads> {
    const ends = await endsOf(pass.taskId);
    return new CopyThreads({
      count: Math.max(1, threadsFor(pass.jobs)),
      task: { ...unpack('task', pass.handTask), ...ends },
      throttle: this.throttle,
      failpoints,
      signal: this.stopped.signal,
    });
  }

  async openHand(handId: string): Promise<CopyHand> {
    const threads = await this.threads;
    return threads.openHand(handRole(this.id, handId));
  }

  /** `each`: of each hand. */
  limit(each: CopyLimits): void {
    this.limits = each;
    this.throttle.set(shareOf(each, this.hands));
  }

  counted(change: 1 | -1): void {
    this.hands += change;
    this.limit(this.limits);
  }

  /** Whatever its hands are at fails. */
  stop(): void {
    this.stopped.abort(new Error('the copy is over'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const threads = await this.threads.catch(() => null);
    await threads?.[Symbol.asyncDispose]();
  }
}

/**
 * Copy threads, seen from where the task runs. One thread moves the bytes of about four pairs of connections: it takes a quarter of the
 * time that the target's backend takes for the same bytes. Up to that many the task's own thread does it; with more jobs threads of
 * their own do, each for its share, and the task's thread keeps its timers and its lease whatever the load.
 */
import { Worker } from 'node:worker_threads';
import { noFailpoints, type Failpoints } from '../../../base/runtime/failpoint.ts';
import type { CopyChunk, CopyEvents, CopyHand } from '../../../engine/pipeline/copy-hand.ts';
import { NO_LIMITS, type CopyLimits, type CopyThrottle } from '../../../engine/source/throttle.ts';
import type { DoneChunk } from '../../../engine/target/books/done-chunks.ts';
import { fromMessage, type FromThread, type ThreadTask, type ToThread } from './copy-thread-messages.ts';

const HANDS_A_THREAD = 4;

/** 0: the task's own thread suffices. */
export function threadsFor(jobs: number): number {
  return jobs <= HANDS_A_THREAD ? 0 : Math.ceil(jobs / HANDS_A_THREAD);
}

export interface ThreadOptions {
  readonly count: number;
  readonly task: Omit<ThreadTask, 'limits' | 'failpoints'>;
  readonly throttle: CopyThrottle;
  readonly failpoints: Failpoints;
  readonly signal: AbortSignal;
}

export class CopyThreads implements AsyncDisposable {
  private readonly threads: Thread[];
  private readonly options: ThreadOptions;
  private readonly unfollow: () => void;
  private readonly onAbort = () => {
    for (const thread of this.threads) thread.post({ kind: 'stop' });
  };

  constructor(options: ThreadOptions) {
    this.options = options;
    this.threads = Array.from({ length: options.count }, () => new Thread(options));
    this.unfollow = options.throttle.follow(() => this.shareLimits());
    options.signal.addEventListener('abort', this.onAbort, { once: true });
  }

  /** On the thread with the fewest. Throws as openHand does. */
  async openHand(role = 'copy'): Promise<CopyHand> {
    this.options.signal.throwIfAborted();
    const [thread] = this.threads.toSorted((a, b) => a.hands - b.hands);
    if (!thread) throw new Error('no copy thread');
    thread.hands++;
    this.shareLimits();
    const left = () => {
      thread.hands--;
      this.shareLimits();
    };
    try {
      const hand = await thread.openHand(role);
      return {
        copy: (batch, events) => thread.copy(hand, batch, events),
        [Symbol.asyncDispose]: async () => {
          left();
          await thread.closeHand(hand);
        },
      };
    } catch (thrown) {
      left();
      throw thrown;
    }
  }

  /** The task's limits, divided by the hands: those of a thread share its part as they share the whole on one thread. */
  private shareLimits(): void {
    const total = this.threads.reduce((sum, { hands }) => sum + hands, 0);
    const { limits } = this.options.throttle;
    for (const thread of this.threads)
      thread.post({ kind: 'limits', limits: shareOf(limits, thread.hands / Math.max(1, total)) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.unfollow();
    this.options.signal.removeEventListener('abort', this.onAbort);
    await Promise.all(this.threads.map((thread) => thread.end()));
  }
}

/** A part of the limits; no part is nobody's, who is not limited. */
export function shareOf(limits: CopyLimits, share: number): CopyLimits {
  if (share === 0) return NO_LIMITS;
  const part = (rate: number | null) => (rate === null ? null : rate * share);
  return {
    queriesPerSecond: part(limits.queriesPerSecond),
    rowsPerSecond: part(limits.rowsPerSecond),
    bytesPerSecond: part(limits.bytesPerSecond),
  };
}

interface Waiting {
  readonly resolve: (message: FromThread) => void;
  readonly reject: (error: unknown) => void;
  readonly batch: readonly CopyChunk[];
  readonly events: CopyEvents | null;
}

const END_MS = 5_000;

/** One thread and what it has been asked. */
class Thread {
  hands = 0;
  private readonly worker: Worker;
  private readonly failpoints: Failpoints;
  private readonly turn = new Int32Array(new SharedArrayBuffer(4));
  private readonly waiting = new Map<number, Waiting>();
  private nextHand = 0;
  private broken: unknown = null;

  constructor({ task, failpoints }: ThreadOptions) {
    this.failpoints = failpoints;
    const data: ThreadTask = {
      ...task,
      limits: NO_LIMITS,
      failpoints: failpoints === noFailpoints ? null : this.turn,
    };
    // Beside this file, in a checkout and in the package.
    const file = new URL(
      import.meta.url.endsWith('.ts') ? './copy-thread.ts' : './copy-thread.js',
      import.meta.url,
    );
    this.worker = new Worker(file, { workerData: data });
    this.worker.on('message', (message: FromThread) => this.take(message));
    this.worker.on('error', (error) => this.breakAll(error));
    this.worker.on('exit', () => this.breakAll(new Error('a copy thread has ended')));
  }

  post(message: ToThread): void {
    this.worker.postMessage(message);
  }

  async openHand(role: string): Promise<number> {
    const hand = this.nextHand++;
    await this.ask({ kind: 'open', hand, role }, hand);
    return hand;
  }

  async copy(hand: number, batch: readonly CopyChunk[], events: CopyEvents): Promise<readonly DoneChunk[]> {
    const answer = await this.ask({ kind: 'copy', hand, batch }, hand, { batch, events });
    return answer.kind === 'done' ? answer.done : [];
  }

  async closeHand(hand: number): Promise<void> {
    // A thread that is gone has closed everything.
    await this.ask({ kind: 'close', hand }, hand).catch(() => {});
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.worker.once('exit', resolve));
    if (this.broken === null) this.post({ kind: 'end' });
    else return;
    const late = setTimeout(() => void this.worker.terminate(), END_MS);
    await ended;
    clearTimeout(late);
  }

  private ask(
    message: ToThread,
    hand: number,
    copying: Pick<Waiting, 'batch' | 'events'> = { batch: [], events: null },
  ): Promise<FromThread> {
    if (this.broken !== null) return Promise.reject(this.broken);
    const { promise, resolve, reject } = Promise.withResolvers<FromThread>();
    this.waiting.set(hand, { resolve, reject, ...copying });
    this.post(message);
    return promise;
  }

  private take(message: FromThread): void {
    if (message.kind === 'failpoint') {
      this.failpoints.pass(message.name);
      Atomics.add(this.turn, 0, 1);
      Atomics.notify(this.turn, 0);
      return;
    }
    const waiting = this.waiting.get(message.hand);
    if (!waiting) return;
    if (message.kind === 'started' || message.kind === 'passed') {
      const chunk = waiting.batch.find(({ id }) => id === message.chunk);
      if (!chunk || !waiting.events) return;
      if (message.kind === 'started') waiting.events.onStart(chunk);
      else waiting.events.onPass(chunk, message.bytes, message.rows);
      return;
    }
    this.waiting.delete(message.hand);
    if (message.kind === 'failed') waiting.reject(fromMessage(message.error));
    else waiting.resolve(message);
  }

  private breakAll(error: unknown): void {
    this.broken ??= error;
    for (const { reject } of this.waiting.values()) reject(this.broken);
    this.waiting.clear();
  }
}

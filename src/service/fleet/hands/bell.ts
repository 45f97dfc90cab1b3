/** Wakes what waits for news of hands in the store. Whoever waits looks by itself as well: a call may be lost. */
import { backoffMs } from '../../../base/runtime/backoff.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import type { Store } from '../../store/store.ts';

const CHANNEL = 'opendts_copy';

/** One for each process. */
export class Bell implements AsyncDisposable {
  private readonly sleepers = new Map<string, Set<() => void>>();
  private readonly stop = new AbortController();
  private readonly listening: Promise<void>;

  constructor(store: Store) {
    this.listening = this.listen(store);
  }

  /** `what` is as in the statements: `pass`, `owner <pass>`, `hand <hand>`. The result ends it. */
  on(what: string, wake: () => void): () => void {
    const some = this.sleepers.get(what) ?? new Set();
    this.sleepers.set(what, some.add(wake));
    return () => {
      some.delete(wake);
      if (some.size === 0) this.sleepers.delete(what);
    };
  }

  private async listen(store: Store): Promise<void> {
    const { signal } = this.stop;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await store.listen(CHANNEL, signal, (payload) => {
          attempt = 1;
          this.ring(payload);
        });
      } catch {
        // Whoever waits looks by itself, and says why it cannot.
      }
      await sleep(backoffMs(attempt, { firstMs: 200, maxMs: 5_000 }), signal);
    }
  }

  private ring(payload: string | null): void {
    const woken = payload === null ? [...this.sleepers.values()] : [this.sleepers.get(payload) ?? []];
    for (const some of woken) for (const wake of some) wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await this.listening;
  }
}

/** A wait that can be cut short, also before it begins. */
export class Nap {
  private woken = Promise.withResolvers<void>();

  readonly wake = (): void => this.woken.resolve();

  async take(ms: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.woken.promise, sleep(ms, over.signal)]);
    over.abort();
    this.woken = Promise.withResolvers();
  }
}

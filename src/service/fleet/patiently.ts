/** The store may be away for a while: whoever has a task goes on with it, and says later what happened. */
import { AppError } from '../../base/errors/app-error.ts';
import { backoffMs } from '../../base/runtime/backoff.ts';
import { sleep } from '../../base/runtime/sleep.ts';

const WAIT = { firstMs: 250, maxMs: 5_000 };

export function isStoreAway(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.code === 'STORE_UNAVAILABLE';
}

/** Again and again while the store is away, until the signal aborts. */
export async function patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (thrown) {
      if (!isStoreAway(thrown) || signal.aborted) throw thrown;
    }
    await sleep(backoffMs(attempt, WAIT), signal);
  }
}

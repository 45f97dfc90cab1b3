/** Waiting that can be called off. */
import { setTimeout as delay } from 'node:timers/promises';

/** Resolves after `ms`, or at once (without throwing) when the signal aborts. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal ? { signal } : {});
  } catch (thrown) {
    if (!signal?.aborted) throw thrown;
  }
}

/** Waits for the work, but not longer than `ms`, nor beyond the signal. Nothing stays behind that would keep the process. */
export async function atMost(ms: number, work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([work, sleep(ms, AbortSignal.any([signal, over.signal]))]);
  } finally {
    over.abort();
  }
}

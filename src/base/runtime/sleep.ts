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

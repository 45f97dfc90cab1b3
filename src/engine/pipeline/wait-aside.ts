/** Waiting for something beside the stream while a transaction of the target stays open. */
import { sleep } from '../../base/runtime/sleep.ts';

/** Well within the limit after which a lane's idle transaction is ended. */
const KEEP_ALIVE_MS = 30_000;

/** Resolves with the event; calls `keepAlive` now and then meanwhile. Throws the signal's reason. */
export async function waitAside(
  event: Promise<void>,
  signal: AbortSignal,
  keepAlive: () => Promise<void>,
): Promise<void> {
  const over = new AbortController();
  const done = event.finally(() => over.abort());
  const paused = AbortSignal.any([signal, over.signal]);
  while (!paused.aborted) {
    await Promise.race([done, sleep(KEEP_ALIVE_MS, paused)]);
    if (!paused.aborted) await keepAlive();
  }
  signal.throwIfAborted();
}

/** Keeps the process small while much is read, planned and thrown away, or kept for long. */
import v8 from 'node:v8';
import { getEnvironmentData, setEnvironmentData, threadId } from 'node:worker_threads';

/** The setting is of the process, and tasks run in threads of it: each thread says in a place of its own how often it holds it. */
const KEY = 'opendts:tight-heap';
const PLACES = 4096;
const holds = placesOfAll();

/** Made by the first thread that comes here, and known to all that it starts from then on. */
function placesOfAll(): Int32Array {
  const known: unknown = getEnvironmentData(KEY);
  if (known instanceof SharedArrayBuffer) return new Int32Array(known);
  const made = new SharedArrayBuffer(PLACES * Int32Array.BYTES_PER_ELEMENT);
  setEnvironmentData(KEY, made);
  return new Int32Array(made);
}

/**
 * Until all who asked for it are done, garbage is collected whenever what is held has grown by a third. By itself V8 waits until it is three or
 * four times as much, where the machine has memory: thousands of tables then take twice what they need. It is paid with a few more
 * collections, so it is not for the copy, or for a stream of few tables.
 */
export function tightHeap(): Disposable {
  const place = threadId % PLACES;
  Atomics.add(holds, place, 1);
  v8.setFlagsFromString('--heap-growing-percent=30');
  return {
    [Symbol.dispose]: () => {
      Atomics.sub(holds, place, 1);
      loosen();
    },
  };
}

/** The thread has ended, perhaps in the middle of it. */
export function leaveTightHeap(thread: number): void {
  if (Atomics.exchange(holds, thread % PLACES, 0) > 0) loosen();
}

/** Whether some thread holds it. */
export function isHeapTight(): boolean {
  return holds.some((count) => count > 0);
}

function loosen(): void {
  if (!isHeapTight()) v8.setFlagsFromString('--heap-growing-percent=0');
}

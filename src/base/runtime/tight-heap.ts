/** Keeps the process small while much is read, planned and thrown away, or kept for long. */
import v8 from 'node:v8';

let holders = 0;

/**
 * Until all who asked for it are done, garbage is collected whenever what is held has grown by a third. By itself V8 waits until it is three or
 * four times as much, where the machine has memory: thousands of tables then take twice what they need. It is paid with a few more
 * collections, so it is not for the copy, or for a stream of few tables.
 */
export function tightHeap(): Disposable {
  if (holders++ === 0) v8.setFlagsFromString('--heap-growing-percent=30');
  return {
    [Symbol.dispose]: () => {
      if (--holders === 0) v8.setFlagsFromString('--heap-growing-percent=0');
    },
  };
}

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { isHeapTight, leaveTightHeap, tightHeap } from './tight-heap.ts';

const MODULE = new URL('./tight-heap.ts', import.meta.url).href;
/** Takes it, and gives it back when it is told to. */
const HOLDER = `import(${JSON.stringify(MODULE)}).then(({ tightHeap }) => {
  const { parentPort } = require('node:worker_threads');
  const held = tightHeap();
  parentPort.once('message', () => { held[Symbol.dispose](); parentPort.postMessage('given back'); });
  parentPort.postMessage('taken');
});`;

async function holder() {
  const worker = new Worker(HOLDER, { eval: true });
  const { threadId } = worker;
  await once(worker, 'message');
  return { worker, threadId };
}

describe('a tight heap', () => {
  it('stays until the last thread that holds it has given it back, or has ended', async () => {
    expect(isHeapTight()).toBe(false);
    const [one, other] = [await holder(), await holder()];
    {
      using _here = tightHeap();
      using _nested = tightHeap();
    }
    expect(isHeapTight()).toBe(true);
    one.worker.postMessage('give back');
    await once(one.worker, 'message');
    await one.worker.terminate();
    expect(isHeapTight()).toBe(true);
    await other.worker.terminate();
    leaveTightHeap(other.threadId);
    expect(isHeapTight()).toBe(false);
  });
});

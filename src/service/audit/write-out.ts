/** The audit log written out as JSON lines after its commits, for as long as a node runs. */
import type { Log } from '../../base/runtime/log.ts';
import { atMost, sleep } from '../../base/runtime/sleep.ts';
import { takeUnsent } from '../store/audit/take-unsent.ts';
import type { Store } from '../store/store.ts';
import type { AuditSink } from './sink.ts';

const BATCH = 500;
const EVERY_MS = 1000;
const LAST_MS = 5000;

/**
 * What was written and not yet recorded as written comes once more after a crash (its `id` tells); nothing is left out. Of several nodes
 * that write, each entry is written by one. Disposing writes what is there by then.
 */
export function writeOut(store: Store, sink: AuditSink, log: Log): AsyncDisposable {
  const stop = new AbortController();
  const seldom = log.seldom(60);
  const running = (async () => {
    for (;;) {
      // What was committed before the end is asked for comes out with it.
      const isLast = stop.signal.aborted;
      try {
        while ((await writeBatch(store, sink)) === BATCH);
      } catch (thrown) {
        seldom.failure(thrown, 'the audit log is not written out; it waits in the store', { level: 'warn' });
      }
      if (isLast) return;
      await sleep(EVERY_MS, stop.signal);
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      // A store that does not answer must not keep the node.
      await atMost(LAST_MS, running, new AbortController().signal);
    },
  };
}

async function writeBatch(store: Store, sink: AuditSink): Promise<number> {
  return store.transaction(async (db) => {
    const entries = await takeUnsent(db, BATCH);
    if (entries.length > 0) await sink.write(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    return entries.length;
  });
}

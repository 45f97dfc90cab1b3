/** Starts the tasks whose time has come, whichever worker notices it first. */
import { appendEvent } from '../store/task/event/append-event.ts';
import { takeDueStart } from '../store/task/owner/take-due-start.ts';
import type { Store } from '../store/store.ts';
import { transition } from '../task-life/transition.ts';
import { isRefused } from './owner.ts';

const SERVICE = { accountId: null, accountName: null, workerId: null };

/** Each once: that it was to be started is over together with its start. What cannot be started any more says so in its timeline. */
export async function startDue(store: Store): Promise<void> {
  let isMore = true;
  while (isMore) {
    isMore = await store.transaction(async (db) => {
      const due = await takeDueStart(db);
      if (due === null) return false;
      const { id, at } = due;
      try {
        await transition(db, id, { event: 'start', by: 'service', facts: { at } });
      } catch (thrown) {
        if (!isRefused(thrown)) throw thrown;
        await appendEvent(db, { taskId: id, kind: 'start-refused', by: SERVICE, facts: { at } });
      }
      return true;
    });
  }
}

/** A run takes its places on both connections, waits where there are none, and gives them back. What a dead worker had ends with it. */
import { sleep } from '../../base/runtime/sleep.ts';
import { connectionRoom } from '../store/connection/connection-room.ts';
import { leaveConnections } from '../store/connection/leave-connections.ts';
import { lockConnections } from '../store/connection/lock-connections.ts';
import { useConnection } from '../store/connection/use-connection.ts';
import { noteEvent } from '../store/task/event/note-event.ts';
import type { Owned } from './owner.ts';
import { patiently } from './patiently.ts';
import { fit, type Fit } from './room.ts';
import type { SavedEnds } from './task-ends.ts';

const LOOK_MS = 3_000;

/** Null where the task is to end before there is room. */
export async function claimRoom(owned: Owned, saved: SavedEnds): Promise<Fit | null> {
  const { store } = owned.parts;
  for (let attempt = 0; ; attempt++) {
    const got = await patiently(owned.leaving, () => claim(owned, saved));
    if (got !== null) return got;
    if (attempt === 0) {
      const { id: taskId, fence } = owned.task;
      const facts = { source: saved.source.name, target: saved.target.name };
      const note = { taskId, fence, kind: 'waits-for-connections', facts };
      await patiently(owned.leaving, () => noteEvent(store, note));
    }
    await sleep(LOOK_MS, owned.leaving);
    const { state } = await owned.refresh();
    if (owned.leaving.aborted || state === 'pausing' || state === 'stopping') return null;
  }
}

async function claim({ parts, task }: Owned, { source, target }: SavedEnds): Promise<Fit | null> {
  const { store, workerId } = parts;
  return store.transaction(async (db) => {
    await lockConnections(db, [source.id, target.id]);
    const room = {
      source: await connectionRoom(db, source.id, task.id),
      target: await connectionRoom(db, target.id, task.id),
    };
    const got = fit({ ...task.spec, ...task.adjustments }, room);
    if (got === null) return null;
    const of = { taskId: task.id, workerId, fence: task.fence };
    await useConnection(db, { ...of, connectionId: source.id, count: got.source });
    await useConnection(db, { ...of, connectionId: target.id, count: got.target });
    return got;
  });
}

/** A worker that lives keeps what it has not given back. */
export async function giveRoom({ parts, task, leaving }: Owned): Promise<void> {
  try {
    await patiently(leaving, () => leaveConnections(parts.store, task.id, parts.workerId));
  } catch (thrown) {
    parts.log.failure(thrown, 'places of connections were not given back', { task: task.id, level: 'warn' });
  }
}

/** For sessions that nothing else watches (replication sessions: silence-watch.ts cannot see what they wait for). */
import type { Session } from './session.ts';

/** Does `work` on the session; cuts the session, so that it fails with CONNECTION_LOST, when that takes longer. */
export async function answersWithin<T>(session: Session, ms: number, work: () => Promise<T>): Promise<T> {
  const late = setTimeout(() => session.cut(`no answer within ${Math.round(ms / 1000)} s`), ms);
  try {
    return await work();
  } finally {
    clearTimeout(late);
  }
}

/** Tasks that follow one database share replica identities and helper tables: who sets them up, or takes them back, does it alone. */
import { sleep } from '../../base/runtime/sleep.ts';
import type { Session } from '../pg/session.ts';

const KEY = "pg_catalog.hashtext('opendts source objects')";
const AGAIN_MS = 300;

/** Waits until no other task is at it, runs `work`, and lets the next one in. The lock ends with the session, too. */
export async function aloneAtSource<T>(
  source: Session,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const { mine } = await source.one(`SELECT pg_catalog.pg_try_advisory_lock(${KEY}) AS mine`);
    if (mine === 't') break;
    await sleep(AGAIN_MS, signal);
  }
  try {
    return await work();
  } finally {
    // A session that is lost has let go by itself.
    await source.query(`SELECT pg_catalog.pg_advisory_unlock(${KEY})`).catch(() => {});
  }
}

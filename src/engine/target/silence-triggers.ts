/** User triggers and foreign keys must not fire for what we write: their effects come from the source (data-plane I8). */
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';

/** True when the account may set the replica role: on 15+ it can be granted, before it takes a superuser. */
export async function silenceTriggers(session: Session): Promise<boolean> {
  try {
    await session.query('SET session_replication_role = replica');
    return true;
  } catch (thrown) {
    if (sqlstateOf(thrown) === SQLSTATE.insufficientPrivilege) return false;
    throw thrown;
  }
}

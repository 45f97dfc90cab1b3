/** Whether the target lets us set session_replication_role. */
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';

/** Tried for real, because managed services allow it in ways of their own; nothing outlives the transaction. */
export async function mayKeepQuiet(target: Session): Promise<boolean> {
  try {
    await target.transaction(
      () => target.query('SET LOCAL session_replication_role = replica'),
      'BEGIN READ ONLY',
    );
    return true;
  } catch (thrown) {
    if (sqlstateOf(thrown) === SQLSTATE.insufficientPrivilege) return false;
    throw thrown;
  }
}

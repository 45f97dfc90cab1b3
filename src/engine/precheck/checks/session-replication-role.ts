/** Whether the target lets us set session_replication_role: it keeps user triggers and foreign keys quiet while rows are written. */
import { ident } from '../../pg/ident.ts';
import { SQLSTATE, sqlstateOf } from '../../pg/pg-error.ts';
import type { Check } from '../check.ts';
import { finding } from '../finding.ts';

export const sessionReplicationRole: Check = {
  name: 'session_replication_role',
  async run({ target, targetInfo }) {
    try {
      // Tried for real, because managed services allow it in ways of their own; nothing outlives the transaction.
      await target.transaction(
        () => target.query('SET LOCAL session_replication_role = replica'),
        'BEGIN READ ONLY',
      );
      return [finding(this.name, 'passed', { what: 'triggers of the target can be kept quiet' })];
    } catch (thrown) {
      if (sqlstateOf(thrown) !== SQLSTATE.insufficientPrivilege) throw thrown;
      return [
        finding(this.name, 'alert', {
          what: 'the user may not set session_replication_role on the target: foreign keys are created last and user triggers must be disabled',
          evidence: `user "${targetInfo.user}"`,
          ...(target.version >= 150_000
            ? { fix: `GRANT SET ON PARAMETER session_replication_role TO ${ident(targetInfo.user)};` }
            : {}),
        }),
      ];
    }
  },
};

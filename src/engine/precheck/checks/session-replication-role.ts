/** Whether the target lets us set session_replication_role: it keeps user triggers and foreign keys quiet while rows are written. */
import { ident } from '../../pg/ident.ts';
import type { Check } from '../check.ts';
import { finding } from '../finding.ts';
import { mayKeepQuiet } from '../replica-role.ts';

export const sessionReplicationRole: Check = {
  name: 'session_replication_role',
  async run({ target, targetInfo }) {
    if (await mayKeepQuiet(target))
      return [finding(this.name, 'passed', { what: 'triggers of the target can be kept quiet' })];
    return [
      finding(this.name, 'alert', {
        what: 'the user may not set session_replication_role on the target: foreign keys are created last and user triggers must be disabled',
        evidence: `user "${targetInfo.user}"`,
        ...(target.version >= 150_000
          ? { fix: `GRANT SET ON PARAMETER session_replication_role TO ${ident(targetInfo.user)};` }
          : {}),
      }),
    ];
  },
};

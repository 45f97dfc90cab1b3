/** The right of the source's user to create and read a replication slot. */
import { ident } from '../../pg/ident.ts';
import type { Check } from '../check.ts';
import { finding } from '../finding.ts';

export const replicationRight: Check = {
  name: 'replication_right',
  async run({ source, sourceInfo, types }) {
    if (!types.has('incremental')) return [];
    // Managed services give the right by membership in a role of their own.
    const row = await source.one(
      `SELECT (r.rolsuper OR r.rolreplication OR EXISTS (
                SELECT FROM pg_catalog.pg_roles g WHERE g.rolname IN ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin')
                   AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')))::text AS may,
              r.rolsuper::text AS super, r.rolreplication::text AS replication
         FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`,
    );
    const evidence = `user "${sourceInfo.user}": superuser ${row.super}, replication ${row.replication}`;
    return [
      row.may === 'true'
        ? finding(this.name, 'passed', { what: 'the user may use replication on the source', evidence })
        : finding(this.name, 'failed', {
            what: 'the user may not use replication on the source',
            evidence,
            fix: `ALTER ROLE ${ident(sourceInfo.user)} REPLICATION;   -- on a managed service: grant its replication role`,
          }),
    ];
  },
};

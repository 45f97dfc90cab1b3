/** The rights to create our publication on the source: CREATE on the database, and ownership of every table in it. */
import { ident } from '../../pg/ident.ts';
import type { Check } from '../check.ts';
import { counted, finding, listedTables, oidArray } from '../finding.ts';

export const publicationRight: Check = {
  name: 'publication_right',
  async run({ source, sourceInfo, tables, types }) {
    if (!types.has('incremental')) return [];
    const role = ident(sourceInfo.user);
    const { may } = await source.one(
      "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')::text AS may",
    );
    // Setting REPLICA IDENTITY FULL takes ownership too.
    const rows = await source.query(
      `SELECT c.oid::text AS oid, r.rolname AS owner
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
        WHERE c.oid = ANY ($1::oid[]) AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')`,
      [oidArray(tables)],
    );
    const findings = [];
    if (may !== 'true')
      findings.push(
        finding(this.name, 'failed', {
          what: 'the user may not create a publication in the source database',
          evidence: `no CREATE on database "${sourceInfo.database}"`,
          fix: `GRANT CREATE ON DATABASE ${ident(sourceInfo.database)} TO ${role};`,
        }),
      );
    if (rows.length > 0) {
      const foreign = new Set(rows.map(({ oid }) => Number(oid)));
      const owners = [...new Set(rows.map(({ owner }) => owner ?? ''))];
      findings.push(
        finding(this.name, 'failed', {
          what: `the user does not own ${counted(rows.length, 'selected table')}, so that it cannot publish them`,
          evidence: listedTables(tables.filter(({ oid }) => foreign.has(oid))),
          fix: owners.map((owner) => `GRANT ${ident(owner)} TO ${role};`).join('\n'),
        }),
      );
    }
    return findings.length > 0
      ? findings
      : [finding(this.name, 'passed', { what: 'the user may publish every selected table' })];
  },
};

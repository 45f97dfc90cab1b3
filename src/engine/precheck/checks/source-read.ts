/** The right to read every selected table of the source. */
import { ident, qname } from '../../pg/ident.ts';
import type { Check } from '../check.ts';
import { counted, finding, listedTables, oidArray } from '../finding.ts';

export const sourceRead: Check = {
  name: 'source_read',
  async run({ source, sourceInfo, tables }) {
    const rows = await source.query(
      `SELECT c.oid::text AS oid
         FROM pg_catalog.pg_class c
        WHERE c.oid = ANY ($1::oid[])
          AND NOT (pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
                   AND (pg_catalog.has_table_privilege(c.oid, 'SELECT')
                        OR NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                                        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                                          AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'))))`,
      [oidArray(tables)],
    );
    const refused = new Set(rows.map(({ oid }) => Number(oid)));
    const unreadable = tables.filter(({ oid }) => refused.has(oid));
    if (unreadable.length === 0)
      return [finding(this.name, 'passed', { what: 'the user may read every selected table of the source' })];
    const role = ident(sourceInfo.user);
    const schemas = [...new Set(unreadable.map(({ schema }) => ident(schema)))];
    return [
      finding(this.name, 'failed', {
        what: `the user may not read ${counted(unreadable.length, 'selected table')} of the source`,
        evidence: listedTables(unreadable),
        fix: `GRANT USAGE ON SCHEMA ${schemas.join(', ')} TO ${role};\nGRANT SELECT ON ${unreadable.map(qname).join(', ')} TO ${role};`,
      }),
    ];
  },
};

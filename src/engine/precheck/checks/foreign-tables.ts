/** Foreign tables beside the selected tables: their rows live on another server and are neither copied nor followed. */
import { USER_RELATION } from '../../pg/catalog/tables/tables.ts';
import type { Check } from '../check.ts';
import { counted, finding, listedTables } from '../finding.ts';

export const foreignTables: Check = {
  name: 'foreign_tables',
  async run({ source, tables }) {
    const schemas = new Set(tables.map(({ schema }) => schema));
    const rows = await source.query(
      `SELECT n.nspname AS schema, c.relname AS name
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'f' AND ${USER_RELATION} ORDER BY n.nspname, c.relname`,
    );
    const foreign = rows
      .map(({ schema, name }) => ({ schema: schema ?? '', name: name ?? '' }))
      .filter(({ schema }) => schemas.has(schema));
    return [
      foreign.length === 0
        ? finding(this.name, 'passed', { what: 'no foreign tables in the selected schemas' })
        : finding(this.name, 'alert', {
            what: `${counted(foreign.length, 'foreign table')}: their rows are on another server and are not migrated`,
            evidence: listedTables(foreign),
          }),
    ];
  },
};

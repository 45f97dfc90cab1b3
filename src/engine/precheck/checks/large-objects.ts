/** Large objects (lo_create, \lo_import) live outside of tables and are not migrated yet. */
import type { Check } from '../check.ts';
import { counted, finding } from '../finding.ts';

export const largeObjects: Check = {
  name: 'large_objects',
  async run({ source, types }) {
    if (!types.has('full')) return [];
    const { count } = await source.one(
      'SELECT count(*)::text AS count FROM pg_catalog.pg_largeobject_metadata',
    );
    return [
      count === '0'
        ? finding(this.name, 'passed', { what: 'the source has no large objects' })
        : finding(this.name, 'alert', {
            what: 'large objects are not migrated yet: columns that hold their oids would point to nothing',
            evidence: counted(Number(count), 'large object'),
            fix: '# as files: psql -c "\\lo_export OID FILE" on the source, "\\lo_import FILE" on the target',
          }),
    ];
  },
};

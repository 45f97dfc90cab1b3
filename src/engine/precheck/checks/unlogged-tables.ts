/** Unlogged tables write no log: they can be copied, but their changes cannot be followed. */
import type { Check } from '../check.ts';
import { counted, finding, listedTables, perTable } from '../finding.ts';

export const unloggedTables: Check = {
  name: 'unlogged_tables',
  async run({ tables, types }) {
    if (!types.has('incremental')) return [];
    const unlogged = tables.filter(({ persistence }) => persistence === 'unlogged');
    return [
      unlogged.length === 0
        ? finding(this.name, 'passed', { what: 'no selected table is unlogged' })
        : finding(this.name, 'alert', {
            what: `${counted(unlogged.length, 'unlogged table')}: changes after the copy are not followed`,
            evidence: listedTables(unlogged),
            fix: perTable(unlogged, (table) => `ALTER TABLE ${table} SET LOGGED;`),
          }),
    ];
  },
};

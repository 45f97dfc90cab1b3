/** Says which selected tables are partitioned: a note, nothing to put right. */
import type { Check } from '../check.ts';
import { counted, finding, listedTables } from '../finding.ts';

export const partitionedTables: Check = {
  name: 'partitioned_tables',
  async run({ tables }) {
    const partitioned = tables.filter(({ kind, isPartition }) => kind === 'p' && !isPartition);
    const partitions = tables.filter(({ kind, isPartition }) => kind === 'r' && isPartition);
    return [
      partitioned.length === 0
        ? finding(this.name, 'passed', { what: 'no selected table is partitioned' })
        : finding(this.name, 'passed', {
            what: `${counted(partitioned.length, 'partitioned table')}, kept with ${counted(partitions.length, 'partition')}`,
            evidence: listedTables(partitioned),
          }),
    ];
  },
};

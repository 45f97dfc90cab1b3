/** Whether the source may hold our heartbeat: one row a task, written every few seconds. */
import { HEARTBEAT, readObstacle } from '../../source/helpers/helper-tables.ts';
import type { Check } from '../check.ts';
import { finding } from '../finding.ts';

export const heartbeat: Check = {
  name: 'heartbeat',
  async run({ source, types, heartbeat: wanted, publication, start }) {
    // It is told by a publication of ours.
    if (!types.has('incremental') || !wanted || publication !== undefined || start) return [];
    const obstacle = await readObstacle(source, HEARTBEAT);
    return [
      obstacle === null
        ? finding(this.name, 'passed', { what: 'a heartbeat may be written into the source' })
        : finding(this.name, 'alert', {
            what: 'no heartbeat in the source: while nobody writes there, its slot moves on only as the server itself says',
            evidence: obstacle.what,
            ...(obstacle.fix === null ? {} : { fix: obstacle.fix }),
          }),
    ];
  },
};

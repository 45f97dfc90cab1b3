/** Whether DDL of the source can be seen where it stands among the changes: event triggers take a superuser or a service's own right. */
import { whyNoEventTrigger } from '../../source/helpers/ddl-capture.ts';
import { DDL_COMMAND, readObstacle } from '../../source/helpers/helper-tables.ts';
import type { Check } from '../check.ts';
import { finding } from '../finding.ts';

export const ddlCapture: Check = {
  name: 'ddl_capture',
  async run({ source, types, captureDdl, publication, start }) {
    // It is noted in a table of a publication of ours.
    if (!types.has('incremental') || captureDdl === 'off' || publication !== undefined || start) return [];
    const obstacle = await readObstacle(source, DDL_COMMAND);
    const refused = obstacle === null ? await whyNoEventTrigger(source) : null;
    if (obstacle === null && refused === null)
      return [finding(this.name, 'passed', { what: 'event triggers of the source may note DDL' })];
    const fix =
      obstacle === null
        ? '-- give --source an account that may create event triggers (a superuser; on managed services their administrator)'
        : obstacle.fix;
    return [
      finding(this.name, 'alert', {
        what: 'DDL of the source is found by comparing its catalog, seconds later and not in the order of the changes',
        evidence: obstacle?.what ?? refused ?? '',
        ...(fix === null ? {} : { fix }),
      }),
    ];
  },
};

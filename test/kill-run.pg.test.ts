import { it } from 'vitest';
import { expectFaultsSurvived, FAULTS_MS } from './fault-script.ts';

it.for([
  { name: 'copy', where: 'the full copy', says: 'identical after 10 kills' },
  { name: 'rolling', where: 'a copy beside the stream', says: 'identical after 6 disturbances' },
  { name: 'apply', where: 'the stream', says: 'identical after 5 kills and 5 freezes' },
])(
  'survives kill -9, and freezes, at random moments of $where (short form of npm run faults:$name)',
  { timeout: FAULTS_MS },
  ({ name, says }) => expectFaultsSurvived(name, says),
);

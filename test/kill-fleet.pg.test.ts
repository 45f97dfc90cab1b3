import { it } from 'vitest';
import { expectFaultsSurvived, FAULTS_MS } from './fault-script.ts';

it(
  'a fleet survives workers that are killed and frozen, and a metadata database that crashes and is away (short form of npm run faults:fleet)',
  { timeout: FAULTS_MS },
  () => expectFaultsSurvived('fleet', '4 tasks right after 2 kills and 2 freezes of workers; accounts exact'),
);

/** The queue of one version of pg-boss is its own. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { QUEUE_SCHEMA } from './boss-queue.ts';

const manifest = z.object({ pgboss: z.object({ schema: z.int() }) });

it('the queue has the number of the schema that this pg-boss makes', () => {
  const file = new URL('../package.json', import.meta.resolve('pg-boss'));
  const { pgboss } = manifest.parse(JSON.parse(readFileSync(file, 'utf8')));
  expect(QUEUE_SCHEMA).toBe(`opendts_queue_${pgboss.schema}`);
});

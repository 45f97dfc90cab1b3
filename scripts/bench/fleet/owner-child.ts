/**
 * The worker that owns the task: copies one database with one job, and with whatever hands others lend it. What it is told stands in its one
 * argument; it prints how long the copy took, in milliseconds, and what passed.
 */
import { noFailpoints } from '../../../src/base/runtime/failpoint.ts';
import { OPERATIONS } from '../../../src/contract/task-spec.ts';
import { parseConninfo } from '../../../src/engine/pg/conninfo/parse.ts';
import { handsOfOthers } from '../../../src/service/fleet/hands/offered-copy.ts';
import { Store } from '../../../src/service/store/store.ts';
import { startMigration } from '../../../src/service/task/migrate.ts';

export interface OwnerWork {
  readonly source: string;
  readonly target: string;
  readonly store: string;
  readonly taskId: string;
  readonly fence: string;
  readonly chunkBytes: number | null;
}

const { source, target, taskId, fence, chunkBytes, ...work } = JSON.parse(process.argv[2] ?? '') as OwnerWork;
let began = 0;
let ended = 0;
const { finished } = startMigration(
  {
    source: parseConninfo(source, 'source'),
    target: parseConninfo(target, 'target'),
    types: new Set(['full']),
    tables: [],
    excludeTables: [],
    rename: {},
    capitalization: 'source',
    excludeColumns: [],
    operations: OPERATIONS,
    rules: [],
    conflict: 'report',
    strict: true,
    ...(chunkBytes === null ? {} : { chunkBytes: BigInt(chunkBytes) }),
    jobs: 1,
    lanes: 1,
    until: { kind: 'caught-up' },
  },
  {
    signal: new AbortController().signal,
    failpoints: noFailpoints,
    moreHands: handsOfOthers({ openStore: () => Store.at(work.store), taskId, fence }),
    onEvent: ({ phase, message }) => {
      if (phase === 'copy' && message.startsWith('copying')) began = performance.now();
      if (phase === 'index') ended ||= performance.now();
    },
  },
);
const { rowsCopied, bytesCopied } = await finished;
process.stdout.write(
  JSON.stringify({ ms: ended - began, rows: Number(rowsCopied), bytes: Number(bytesCopied) }),
);

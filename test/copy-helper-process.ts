/**
 * A worker that does nothing but lend hands to the tasks of others, in a process of its own: tests kill and freeze it. What it is told stands
 * in its one argument; its end of input ends it.
 */
import { armFailpoint, noFailpoints } from '../src/base/runtime/failpoint.ts';
import { noSpan } from '../src/base/tracing/span.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import { Bell } from '../src/service/fleet/hands/bell.ts';
import { CopyHelper } from '../src/service/fleet/hands/copy-helper.ts';
import { Store } from '../src/service/store/store.ts';

export interface HelperWork {
  readonly store: string;
  readonly source: string;
  readonly target: string;
  readonly workerId: string;
  readonly places: number;
  readonly failpoint: string | null;
}

const work = JSON.parse(process.argv[2] ?? '') as HelperWork;
await using store = Store.at(work.store);
await using bell = new Bell(store);
await using helper = new CopyHelper({
  spanOf: () => noSpan,
  store,
  bell,
  workerId: work.workerId,
  cluster: null,
  places: () => work.places,
  endsOf: async () => ({
    source: parseConninfo(work.source, 'source'),
    target: parseConninfo(work.target, 'target'),
  }),
  failpoints: work.failpoint === null ? noFailpoints : armFailpoint(work.failpoint),
  onTrouble: ({ code }) => process.stdout.write(`trouble ${code}\n`),
});
process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.resume().once('end', resolve));
void helper;

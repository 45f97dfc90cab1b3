/**
 * What more workers bring to the copy of one large table, where the network of each is the limit (docs/bench-fleet.md).
 *   npm run bench:fleet                 1.1 GB, 15 MB/s each, with 1, 2 and 3 workers
 *   npm run bench:fleet -- --quick      200 MB
 *   … --json                            one JSON line with the bars at the end
 * Ends with 1 when a copy failed or rows are missing.
 */
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { migrate } from '../src/service/store/migrate.ts';
import { Store } from '../src/service/store/store.ts';
import { putWorker } from '../src/service/store/worker/put-worker.ts';
import { table } from '../src/surface/cli/view/text.ts';
import { insertHelpedTask, ownTask, startHelper } from '../test/lending.ts';
import { bar } from './bench/bars.ts';
import { freshTarget, openDatabase, type ClusterPair } from './bench/cluster-pair.ts';
import { wideTable } from './bench/data-sets.ts';
import { narrowRelay } from './bench/fleet/narrow-relay.ts';
import type { OwnerWork } from './bench/fleet/owner-child.ts';
import { runProgram } from './bench/program.ts';
import { runBench, type BenchContext } from './bench/run-bench.ts';

const BYTES_PER_SECOND = 15e6;
const ROWS = 1_400_000;
const QUICK_ROWS = 250_000;
/** Of a small table the smallest chunks that the program makes by itself are too few to share. */
const QUICK_CHUNK = 8_000_000;
const WORKERS = [1, 2, 3];
const DATABASE = 'wide';
const STORE = 'store';
const OWNER = fileURLToPath(new URL('bench/fleet/owner-child.ts', import.meta.url));

type Bench = BenchContext & { readonly pair: ClusterPair };

interface Options {
  readonly rows: number;
  readonly chunkBytes: number | null;
  readonly name: string;
  readonly json: boolean;
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const { quick, json } = values;
  if (quick) return { rows: QUICK_ROWS, chunkBytes: QUICK_CHUNK, name: 'quick', json };
  return { rows: ROWS, chunkBytes: null, name: 'full', json };
}

async function makeTable({ source, target }: ClusterPair, rows: number): Promise<void> {
  const wide = wideTable(DATABASE, 0, rows);
  for (const [server, name] of [
    [source, DATABASE],
    [target, STORE],
  ] as const) {
    await using admin = await openDatabase(server, 'postgres');
    await admin.query(`CREATE DATABASE ${name}`);
  }
  await using session = await openDatabase(source, DATABASE);
  for (const statement of [wide.create, wide.fill, wide.keys[0] ?? '', `ANALYZE public.${DATABASE}`])
    await session.query(statement);
}

interface Copied {
  readonly ms: number;
  readonly rows: number;
  readonly bytes: number;
}

/** One worker owns the task, the others lend it a hand each; each is a process behind a network of its own. */
async function copyWith(bench: Bench, workers: number, { rows, chunkBytes }: Options): Promise<Copied> {
  const { source, target } = bench.pair;
  await freshTarget(bench.pair, DATABASE);
  await using session = await openDatabase(target, DATABASE);
  await session.query(wideTable(DATABASE, 0, 0).create);
  await using open = new AsyncDisposableStack();
  const store = open.use(Store.at(target.uri(STORE)));
  await migrate(store);
  const taskId = await insertHelpedTask(store);
  const fence = await ownTask(store, taskId);
  const networks = await Promise.all(
    Array.from({ length: workers }, async () =>
      open.use(await narrowRelay(source.uri(DATABASE), BYTES_PER_SECOND)),
    ),
  );
  const ends = (at: number) => ({
    source: networks[at]?.through(source.uri(DATABASE)) ?? '',
    target: target.uri(DATABASE),
    store: target.uri(STORE),
  });
  for (let at = 1; at < workers; at++) {
    const workerId = randomUUID();
    const here = { region: null, cluster: null, host: 'bench', pid: 0, capacity: 1, version: '0', knows: 0 };
    await putWorker(store, { id: workerId, name: `worker ${at}`, ...here });
    open.use(await startHelper({ ...ends(at), workerId, places: 1, failpoint: null }));
  }
  const work: OwnerWork = { ...ends(0), taskId, fence, chunkBytes };
  const { stdout } = await runProgram(process.execPath, [OWNER, JSON.stringify(work)], bench);
  await store.query(z.unknown(), 'DELETE FROM opendts.worker');
  const copied = JSON.parse(stdout) as Copied;
  const { count } = await session.one(`SELECT count(*) FROM public.${DATABASE}`);
  if (count !== String(rows)) throw new Error(`${count} rows arrived of ${rows}`);
  bench.say(`${workers} workers: ${(copied.ms / 1000).toFixed(1)} s`);
  return copied;
}

await runBench(
  () => ({ name: 'bench:fleet', size: options().name, json: options().json }),
  async (bench) => {
    const form = options();
    const { rows } = form;
    bench.say(`making a table of ${rows} rows …`);
    await makeTable(bench.pair, rows);
    const runs: Copied[] = [];
    for (const workers of WORKERS) runs.push(await copyWith(bench, workers, form));
    const alone = runs[0]?.ms ?? NaN;
    const scaling = (at: number) => alone / (runs[at]?.ms ?? NaN) / (WORKERS[at] ?? NaN);
    return {
      about: [
        `one table of ${rows} rows; ${BYTES_PER_SECOND / 1e6} MB/s from the source to each worker; one job each`,
      ],
      table: table(
        ['workers', 'copy s', 'MB/s', 'times one', 'of each'],
        runs.map(({ ms, bytes }, at) => [
          String(WORKERS[at]),
          (ms / 1000).toFixed(1),
          (bytes / 1000 / ms).toFixed(1),
          (alone / ms).toFixed(2),
          scaling(at).toFixed(2),
        ]),
        ['workers', 'copy s', 'MB/s', 'times one', 'of each'],
      ),
      bars: [
        bar('2 workers: times one, of each', scaling(1), { min: 0.9 }),
        bar('3 workers: times one, of each', scaling(2), { min: 0.9 }),
      ],
      troubles: [],
      failed: false,
      checked: 'Checked after each copy: all rows are on the target.',
    };
  },
);

/**
 * Measures how fast changes are applied beside PostgreSQL's own subscription, on two servers of its own (docs/bench-apply.md).
 *   npm run bench:apply                  the whole bench
 *   npm run bench:apply -- --quick       small sizes, every contender and comparison: shows that the bench works
 *   … --part <name>                      only this part (may be repeated): a, b, c, d, latency, steady
 *   … --rounds <n>, --json               another number of rounds; one JSON line with the bars at the end
 * Ends with 1 when a contender failed or its target differed, with 0 otherwise: whether a bar is cleared is in the output.
 */
import { drainTable } from './bench/apply/apply-report.ts';
import { readOptions } from './bench/apply/options.ts';
import { runDrains } from './bench/apply/suite.ts';
import { runLatency } from './bench/apply/latency.ts';
import { runSteady } from './bench/apply/steady.ts';
import { hasFailed, troubleLines } from './bench/report.ts';
import { runBench } from './bench/run-bench.ts';

const options = () => readOptions(process.argv.slice(2));
const form = () => ({ name: 'bench:apply', size: options().size.name, json: options().json });

const COUNTED = [
  'wall: from the moment the slot is read until the last row of the load is visible in the target (of "receive only": has arrived)',
  'CPU: of the same time; own: the process of the contender, source and target: all processes of the cluster; start: before that time',
  'durability: neither waits for the disk with each commit; what is not on it yet is not confirmed to the source',
];

await runBench(form, async (bench) => {
  const { size, parts: wanted } = options();
  const { parts, bars } = await runDrains(bench, options());
  const live = [
    ...(wanted.has('latency') ? [await runLatency(bench, size)] : []),
    ...(wanted.has('steady') ? [await runSteady(bench, size)] : []),
  ];
  return {
    about: COUNTED,
    table: [...(parts.length > 0 ? drainTable(parts) : []), ...live.flatMap((one) => ['', ...one.table])],
    bars: [...bars, ...live.flatMap((one) => one.bars)],
    troubles: troubleLines(parts),
    failed: hasFailed(parts),
    checked: 'Checked after every drain: the content of every table.',
  };
});

/**
 * Measures the copy beside psql, pgcopydb and pg_dump on two servers of its own, and prints one table (docs/bench-copy.md).
 *   npm run bench:copy                  the whole bench
 *   npm run bench:copy -- --quick       small data, under five minutes: shows that the bench works
 *   npm run bench:copy -- --five-gb     one table of 5 GB, for the memory alone
 *   … --part <name>                     only this part (may be repeated): mixed, binary, text, decode, small, split
 *   … --jobs <n>, --json                another number of jobs; one JSON line with the bars at the end
 * Ends with 1 when a copy failed or was wrong, with 0 otherwise: whether a bar is cleared is in the output.
 */
import { availableParallelism, cpus, loadavg } from 'node:os';
import { SETTINGS, startPair } from './bench/cluster-pair.ts';
import { readOptions } from './bench/options.ts';
import { findTool, toolVersion } from './bench/program.ts';
import { barTable, resultTable, troubleLines } from './bench/report.ts';
import { runParts, runFiveGb } from './bench/suites.ts';

const say = (line: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
const print = (line: string) => process.stdout.write(`${line}\n`);
const load = () =>
  loadavg()
    .map((value) => value.toFixed(1))
    .join(' ');

/** What the caller's environment says about servers and migrations must not reach the contenders. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(PG|OPENDTS_)/.test(name));
  return { ...Object.fromEntries(own), LC_ALL: 'C' };
}

async function main(signal: AbortSignal): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const env = cleanEnvironment();
  const started = performance.now();
  const loadBefore = load();
  await using pair = await startPair();
  // Whatever is going on ends with the servers, a statement that fills a table too.
  signal.addEventListener('abort', () => void pair[Symbol.asyncDispose](), { once: true });
  const bench = { pair, env, signal, say };
  const { parts, bars } = await (options.size.name === 'five-gb' ? runFiveGb : runParts)(bench, options);
  print(`opendts bench:copy, ${options.size.name}, ${new Date().toISOString()}`);
  print(
    `machine: ${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}`,
  );
  print(
    `load average: ${loadBefore} before, ${load()} after ${Math.round((performance.now() - started) / 1000)} s`,
  );
  print(`servers: PostgreSQL ${pair.source.major}, ${settingsLine()}`);
  for (const tool of ['psql', 'pgcopydb', 'pg_dump']) {
    const path = findTool(tool, env);
    print(`${tool}: ${path === null ? 'not installed' : toolVersion(path, env)}`);
  }
  for (const line of ['', ...resultTable(parts), '', ...barTable(bars)]) print(line);
  const troubles = troubleLines(parts);
  for (const line of troubles) print(line);
  if (options.size.name === 'quick') print('Quick form: too small to judge the bars by.');
  if (parts.some(({ results }) => results.some(({ trouble }) => trouble?.kind === 'failed')))
    process.exitCode = 1;
  else
    print(
      'Checked after every copy: row counts, COPY tags, indexes; content after every copy of ours and the last of the others.',
    );
  if (options.json) print(JSON.stringify({ bars }));
}

function settingsLine(): string {
  return Object.entries(SETTINGS)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort(name));
try {
  await main(stop.signal);
} catch (thrown) {
  say(
    stop.signal.aborted
      ? 'stopped; both servers are removed'
      : thrown instanceof Error
        ? thrown.message
        : String(thrown),
  );
  process.exitCode = stop.signal.aborted ? 130 : 1;
}

/** What every bench does around its work: a clean environment, an end by Ctrl-C that leaves no server behind, words about the machine. */
import { availableParallelism, cpus, loadavg } from 'node:os';
import { SETTINGS, startPair, type ClusterPair } from './cluster-pair.ts';
import type { Bar } from './bars.ts';
import { barTable } from './report.ts';

export interface BenchContext {
  /** Without PG… and OPENDTS_… variables of the caller: they must not reach the contenders. */
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** What is going on, with the time, on stderr. */
  readonly say: (line: string) => void;
}

/** What a bench prints once everything has run. */
export interface Findings {
  /** Below the lines about machine and servers. */
  readonly about: readonly string[];
  readonly table: readonly string[];
  readonly bars: readonly Bar[];
  /** What went wrong or could not run. */
  readonly troubles: readonly string[];
  /** A contender failed or was wrong: the bench ends with 1. */
  readonly failed: boolean;
  readonly checked: string;
}

interface Form {
  /** `bench:copy`. */
  readonly name: string;
  readonly size: string;
  readonly json: boolean;
}

const say = (line: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
const print = (line: string) => process.stdout.write(`${line}\n`);
const load = () =>
  loadavg()
    .map((value) => value.toFixed(1))
    .join(' ');

function cleanEnvironment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(PG|OPENDTS_)/.test(name));
  return { ...Object.fromEntries(own), LC_ALL: 'C' };
}

/** Starts two servers, does the work, prints what it found, removes the servers, and sets the exit code. */
export async function runBench(
  form: () => Form,
  work: (bench: BenchContext & { readonly pair: ClusterPair }) => Promise<Findings>,
): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort(name));
  try {
    await measured(form(), stop.signal, work);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    say(stop.signal.aborted ? 'stopped; both servers are removed' : why);
    process.exitCode = stop.signal.aborted ? 130 : 1;
  }
}

async function measured(
  { name, size, json }: Form,
  signal: AbortSignal,
  work: Parameters<typeof runBench>[1],
): Promise<void> {
  const started = performance.now();
  const loadBefore = load();
  await using pair = await startPair();
  // Whatever is going on ends with the servers, a statement that fills a table too.
  signal.addEventListener('abort', () => void pair[Symbol.asyncDispose](), { once: true });
  const found = await work({ pair, env: cleanEnvironment(), signal, say });
  print(`opendts ${name}, ${size}, ${new Date().toISOString()}`);
  print(
    `machine: ${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}`,
  );
  const seconds = Math.round((performance.now() - started) / 1000);
  print(`load average: ${loadBefore} before, ${load()} after ${seconds} s`);
  print(`servers: PostgreSQL ${pair.source.major}, ${settingsLine()}`);
  const { about, table, bars, troubles } = found;
  for (const line of [...about, '', ...table, '', ...barTable(bars), ...troubles]) print(line);
  if (size === 'quick') print('Quick form: too small to judge the bars by.');
  if (found.failed) process.exitCode = 1;
  else print(found.checked);
  if (json) print(JSON.stringify({ bars }));
}

function settingsLine(): string {
  return Object.entries(SETTINGS)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

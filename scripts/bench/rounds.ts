/** Runs contenders side by side: in every round each of them once, in an order that moves on from round to round. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkRows } from './check-rows.ts';
import { emptyTarget, openDatabase, runAll, type ClusterPair, type LoadedData } from './cluster-pair.ts';
import { whyNotRun, type Contender, type CopyJob } from './contender.ts';
import type { Measurement } from './measurement.ts';
import { verify } from './opendts-run.ts';

/** One line of the table: a contender on a data set. */
export interface Entry {
  readonly contender: Contender;
  readonly data: LoadedData;
  readonly jobs: number;
  readonly rounds: number;
}

export interface EntryResult {
  readonly entry: Entry;
  /** By round, so that two entries can be compared pair by pair. */
  readonly measurements: readonly Measurement[];
  /** Why there are none, or fewer than asked for. */
  readonly trouble: { readonly kind: 'not-run' | 'failed'; readonly why: string } | null;
}

export interface Bench {
  readonly pair: ClusterPair;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/**
 * The result of every entry, under the entry's key. A contender that fails, or copies wrongly, is out from then on; throws only when the
 * signal says stop.
 */
export async function runRounds<Key extends string>(
  bench: Bench,
  entries: Readonly<Record<Key, Entry>>,
): Promise<Record<Key, EntryResult>> {
  const keys = Object.keys(entries) as Key[];
  const results = Object.fromEntries(keys.map((key) => [key, nothingYet(entries[key], bench.env)])) as Record<
    Key,
    EntryResult
  >;
  const rounds = Math.max(...keys.map((key) => entries[key].rounds));
  for (let round = 0; round < rounds; round++) {
    const first = round % keys.length;
    for (const key of [...keys.slice(first), ...keys.slice(0, first)]) {
      const result = results[key];
      if (result.trouble === null && round < result.entry.rounds)
        results[key] = await withRound(bench, result, round);
    }
  }
  return results;
}

function nothingYet(entry: Entry, env: NodeJS.ProcessEnv): EntryResult {
  const why = whyNotRun(entry.contender, env);
  return { entry, measurements: [], trouble: why === null ? null : { kind: 'not-run', why } };
}

/** The result with one more round in it. */
async function withRound(bench: Bench, result: EntryResult, round: number): Promise<EntryResult> {
  const { contender, data, rounds } = result.entry;
  const name = `${data.database}: ${contender.name}, round ${round + 1} of ${rounds}`;
  try {
    const measurement = await runOnce(bench, result.entry, round);
    bench.say(`${name}: ${(measurement.wallMs / 1000).toFixed(1)} s`);
    return { ...result, measurements: [...result.measurements, measurement] };
  } catch (thrown) {
    bench.signal.throwIfAborted();
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    bench.say(`${name}: FAILED: ${why}`);
    return { ...result, trouble: { kind: 'failed', why } };
  }
}

async function runOnce({ pair, env, signal }: Bench, entry: Entry, round: number): Promise<Measurement> {
  const { contender, data, jobs, rounds } = entry;
  const scratch = mkdtempSync(join(tmpdir(), 'opendts-bench-'));
  try {
    await emptyTarget(pair, data.database);
    if (contender.work === 'data') {
      await using target = await openDatabase(pair.target, data.database);
      await runAll(target, data.bareDdl);
    }
    const job: CopyJob = { pair, data, jobs, scratch, env, signal };
    const measurement = await contender.run(job);
    await checkRows(job, contender, measurement);
    // Digests of gigabytes take longer than the copies: of our copies all are compared, of a contender's the last.
    if (contender.isOurs || round === rounds - 1) await verify(job);
    return measurement;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

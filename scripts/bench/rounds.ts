/** Runs contenders side by side: in every round each of them once, in an order that moves on from round to round. */
import type { ClusterPair } from './cluster-pair.ts';
import type { Measurement } from './measurement.ts';
import type { BenchContext } from './run-bench.ts';

/** One line of the table: a contender and what it is run on. */
export interface Entry<M extends Measurement = Measurement> {
  readonly name: string;
  readonly rounds: number;
  /** Why it cannot run here; null when it can. */
  readonly whyNot: string | null;
  /** One run, from the same start as every other, checked. Throws when it failed or its result is wrong. */
  run(round: number): Promise<M>;
}

export type MeasurementOf<E extends Entry> = Awaited<ReturnType<E['run']>>;

export interface EntryResult<E extends Entry = Entry> {
  readonly entry: E;
  /** By round, so that two entries can be compared pair by pair. */
  readonly measurements: readonly MeasurementOf<E>[];
  /** Why there are none, or fewer than asked for. */
  readonly trouble: { readonly kind: 'not-run' | 'failed'; readonly why: string } | null;
}

export interface Bench extends BenchContext {
  readonly pair: ClusterPair;
}

/**
 * The result of every entry, under the entry's key. A contender that fails, or whose result is wrong, is out from then on; throws only
 * when the signal says stop.
 */
export async function runRounds<Key extends string, E extends Entry>(
  bench: BenchContext,
  entries: Readonly<Record<Key, E>>,
): Promise<Record<Key, EntryResult<E>>> {
  const keys = Object.keys(entries) as Key[];
  const results = Object.fromEntries(keys.map((key) => [key, nothingYet(entries[key])])) as Record<
    Key,
    EntryResult<E>
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

function nothingYet<E extends Entry>(entry: E): EntryResult<E> {
  const { whyNot } = entry;
  return { entry, measurements: [], trouble: whyNot === null ? null : { kind: 'not-run', why: whyNot } };
}

/** The result with one more round in it. */
async function withRound<E extends Entry>(
  bench: BenchContext,
  result: EntryResult<E>,
  round: number,
): Promise<EntryResult<E>> {
  const { entry } = result;
  const name = `${entry.name}, round ${round + 1} of ${entry.rounds}`;
  try {
    bench.signal.throwIfAborted();
    const measurement = (await entry.run(round)) as MeasurementOf<E>;
    bench.say(`${name}: ${(measurement.wallMs / 1000).toFixed(1)} s`);
    return { ...result, measurements: [...result.measurements, measurement] };
  } catch (thrown) {
    bench.signal.throwIfAborted();
    const why = describe(thrown);
    bench.say(`${name}: FAILED: ${why}`);
    return { ...result, trouble: { kind: 'failed', why } };
  }
}

function describe(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return thrown.cause instanceof Error ? `${thrown.message}: ${thrown.cause.message}` : thrown.message;
}

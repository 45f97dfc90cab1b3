/** What is run against what, and which bars that answers. */
import { dataBars, memoryBar, splitBar, wholeBar, type Bar } from './bars.ts';
import { load, type LoadedData } from './cluster-pair.ts';
import { dataSets, wideOnly, type DataSet } from './data-sets.ts';
import { opendtsData, opendtsWhole } from './opendts-run.ts';
import type { BenchOptions } from './options.ts';
import { dumpRestore, pgcopydb, psqlPipe } from './other-tools.ts';
import type { Part } from './report.ts';
import { runRounds, type Bench } from './rounds.ts';

export interface Outcome {
  readonly parts: readonly Part[];
  readonly bars: readonly Bar[];
}

const SPLIT_JOBS = 4;

/** Everything but the 5 GB run. Throws only when the signal says stop, or the data cannot be made. */
export async function runAllParts(bench: Bench, { size, jobs }: BenchOptions): Promise<Outcome> {
  const { pairs, rounds, smallTables } = size;
  const sets = dataSets(size);
  const whole = (data: LoadedData) =>
    runRounds(bench, {
      ours: { contender: opendtsWhole, data, jobs, rounds: pairs },
      pgcopydb: { contender: pgcopydb, data, jobs, rounds: pairs },
      dump: { contender: dumpRestore, data, jobs, rounds },
    });
  const rowsOnly = (data: LoadedData, at: { jobs: number }) => ({
    contender: opendtsData,
    data,
    rounds: pairs,
    ...at,
  });

  const mixedData = await loaded(bench, sets.mixed);
  const mixed = await whole(mixedData);
  const binary = await runRounds(bench, {
    ours: rowsOnly(mixedData, { jobs }),
    psql: { contender: psqlPipe('binary'), data: mixedData, jobs, rounds: pairs },
    psqlText: { contender: psqlPipe('text'), data: mixedData, jobs, rounds },
  });
  const textData = await loaded(bench, sets.text);
  const text = await runRounds(bench, {
    ours: rowsOnly(textData, { jobs }),
    psql: { contender: psqlPipe('text'), data: textData, jobs, rounds: pairs },
  });
  const small = await whole(await loaded(bench, sets.small));
  const split = await runRounds(bench, {
    one: rowsOnly(await loaded(bench, sets.one), { jobs: SPLIT_JOBS }),
    four: rowsOnly(await loaded(bench, sets.four), { jobs: SPLIT_JOBS }),
  });
  return {
    parts: [
      { title: 'whole', results: Object.values(mixed) },
      { title: 'whole', results: Object.values(small) },
      { title: 'data', results: Object.values(binary) },
      { title: 'data', results: Object.values(text) },
      { title: 'data', results: Object.values(split) },
    ],
    bars: [
      wholeBar('whole, mixed', mixed.ours, mixed.pgcopydb, 1.3),
      wholeBar(`whole, ${smallTables} small tables`, small.ours, small.pgcopydb, 2),
      ...dataBars('data, binary', binary.ours, binary.psql, 0.16),
      ...dataBars('data, text', text.ours, text.psql, 0.12),
      memoryBar('whole, mixed', mixed.ours),
      splitBar(split.one, split.four),
    ],
  };
}

/** One table of 5 GB: the memory we take must not depend on it. */
export async function runFiveGb(bench: Bench, { size, jobs }: BenchOptions): Promise<Outcome> {
  const data = await loaded(bench, wideOnly(size.wideRows));
  const { ours } = await runRounds(bench, {
    ours: { contender: opendtsWhole, data, jobs, rounds: size.rounds },
  });
  return {
    parts: [{ title: 'whole', results: [ours] }],
    bars: [memoryBar('whole, one table of 5 GB', ours)],
  };
}

async function loaded(bench: Bench, set: DataSet): Promise<LoadedData> {
  bench.signal.throwIfAborted();
  bench.say(`${set.name}: making ${set.about} …`);
  const data = await load(bench.pair, set);
  const [largest] = data.tables;
  const share = largest ? (100 * Number(largest.bytes)) / Number(data.bytes) : 0;
  const size = `${data.tables.length} tables, ${(Number(data.bytes) / 1e6).toFixed(0)} MB`;
  bench.say(`${set.name}: ${size}, the largest table holds ${share.toFixed(0)} %`);
  return data;
}

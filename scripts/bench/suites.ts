/** What is run against what, and which bars that answers. */
import { dataBars, memoryBar, splitBar, wholeBar, type Bar } from './bars.ts';
import { load, startPair, type LoadedData } from './cluster-pair.ts';
import { copyEntry, type CopyEntry, type CopyLine } from './copy-entry.ts';
import { dataSets, wideOnly, type DataSet, type DataSets } from './data-sets.ts';
import { opendtsData, opendtsWhole } from './opendts-run.ts';
import { PARTS, type BenchOptions, type PartName } from './options.ts';
import { dumpRestore, pgcopydb, psqlPipe } from './other-tools.ts';
import type { Part } from './report.ts';
import { relayOnly } from './relay-contender.ts';
import { runRounds, type Bench } from './rounds.ts';

export interface Outcome {
  readonly parts: readonly Part<CopyEntry>[];
  readonly bars: readonly Bar[];
}

const SPLIT_JOBS = 4;
const NEWER_MAJOR = 17;

/** The parts asked for, of everything but the 5 GB run. Throws only when the signal says stop, or the data cannot be made. */
export async function runParts(bench: Bench, options: BenchOptions): Promise<Outcome> {
  const suite = new Suite(bench, options);
  const outcomes: Outcome[] = [];
  for (const part of PARTS) if (options.parts.has(part)) outcomes.push(await suite[part]());
  return {
    parts: outcomes.flatMap(({ parts }) => parts),
    bars: outcomes.flatMap(({ bars }) => bars),
  };
}

class Suite implements Record<PartName, () => Promise<Outcome>> {
  private readonly bench: Bench;
  private readonly options: BenchOptions;
  private readonly sets: DataSets;
  private mixedData: Promise<LoadedData> | null = null;
  private textData: Promise<LoadedData> | null = null;

  constructor(bench: Bench, options: BenchOptions) {
    this.bench = bench;
    this.options = options;
    this.sets = dataSets(options.size);
  }

  async mixed(): Promise<Outcome> {
    const results = await this.whole(await this.mixedSet());
    return {
      parts: [{ title: 'whole', results: Object.values(results) }],
      bars: [
        wholeBar('whole, mixed', results.ours, results.pgcopydb, 1.3),
        memoryBar('whole, mixed', results.ours),
      ],
    };
  }

  async small(): Promise<Outcome> {
    const results = await this.whole(await loaded(this.bench, this.sets.small));
    const name = `whole, ${this.options.size.smallTables} small tables`;
    return {
      parts: [{ title: 'whole', results: Object.values(results) }],
      bars: [wholeBar(name, results.ours, results.pgcopydb, 2)],
    };
  }

  async binary(): Promise<Outcome> {
    const { jobs, size } = this.options;
    const data = await this.mixedSet();
    const results = await copyRounds(this.bench, {
      ours: this.rowsOnly(data, jobs),
      psql: { contender: psqlPipe('binary'), data, jobs, rounds: size.pairs },
      psqlText: { contender: psqlPipe('text'), data, jobs, rounds: size.rounds },
    });
    return {
      parts: [{ title: 'data', results: Object.values(results) }],
      bars: dataBars('data, binary', results.ours, results.psql, 0.16),
    };
  }

  async text(): Promise<Outcome> {
    const { jobs, size } = this.options;
    const data = await this.textSet();
    const results = await copyRounds(this.bench, {
      ours: this.rowsOnly(data, jobs),
      psql: { contender: psqlPipe('text'), data, jobs, rounds: size.pairs },
    });
    return {
      parts: [{ title: 'data', results: Object.values(results) }],
      bars: dataBars('data, text', results.ours, results.psql, 0.12),
    };
  }

  /** No bar: it is the price of looking at rows, for whoever writes a transform. */
  async decode(): Promise<Outcome> {
    const { jobs, size } = this.options;
    const data = await this.textSet();
    const results = await copyRounds(this.bench, {
      raw: { contender: relayOnly('raw'), data, jobs, rounds: size.rounds },
      decoded: { contender: relayOnly('decode'), data, jobs, rounds: size.rounds },
    });
    return { parts: [{ title: 'data', results: Object.values(results) }], bars: [] };
  }

  /** Also on a major from 16 on: before, writers of one table wait for one another whenever it grows (Lock:extend). */
  async split(): Promise<Outcome> {
    const older = await this.splitOn(this.bench);
    await using pair = await startPair(NEWER_MAJOR);
    const newer = await this.splitOn({ ...this.bench, pair });
    return { parts: [...older.parts, ...newer.parts], bars: [...older.bars, ...newer.bars] };
  }

  private async splitOn(bench: Bench): Promise<Outcome> {
    const one = await loaded(bench, this.sets.one);
    const four = await loaded(bench, this.sets.four);
    const psql = { jobs: SPLIT_JOBS, rounds: this.options.size.rounds };
    const results = await copyRounds(bench, {
      one: this.rowsOnly(one, SPLIT_JOBS),
      four: this.rowsOnly(four, SPLIT_JOBS),
      // What the server makes of the same with nobody's cleverness.
      bareOne: { contender: psqlPipe('binary', SPLIT_JOBS), data: one, ...psql },
      bareFour: { contender: psqlPipe('binary'), data: four, ...psql },
    });
    const { major } = bench.pair.source;
    return {
      parts: [{ title: `data ${major}`, results: Object.values(results) }],
      bars: [splitBar(major, results.one, results.four)],
    };
  }

  private textSet(): Promise<LoadedData> {
    return (this.textData ??= loaded(this.bench, this.sets.text));
  }

  private mixedSet(): Promise<LoadedData> {
    return (this.mixedData ??= loaded(this.bench, this.sets.mixed));
  }

  private whole(data: LoadedData) {
    const { jobs, size } = this.options;
    return copyRounds(this.bench, {
      ours: { contender: opendtsWhole, data, jobs, rounds: size.pairs },
      pgcopydb: { contender: pgcopydb, data, jobs, rounds: size.pairs },
      dump: { contender: dumpRestore, data, jobs, rounds: size.rounds },
    });
  }

  private rowsOnly(data: LoadedData, jobs: number) {
    return { contender: opendtsData, data, jobs, rounds: this.options.size.pairs };
  }
}

/** One table of 5 GB: the memory we take must not depend on it. */
export async function runFiveGb(bench: Bench, { size, jobs }: BenchOptions): Promise<Outcome> {
  const data = await loaded(bench, wideOnly(size.wideRows));
  const { ours } = await copyRounds(bench, {
    ours: { contender: opendtsWhole, data, jobs, rounds: size.rounds },
  });
  return {
    parts: [{ title: 'whole', results: [ours] }],
    bars: [memoryBar('whole, one table of 5 GB', ours)],
  };
}

function copyRounds<Key extends string>(bench: Bench, lines: Readonly<Record<Key, CopyLine>>) {
  const entries = Object.entries<CopyLine>(lines).map(([key, line]) => [key, copyEntry(bench, line)]);
  return runRounds(bench, Object.fromEntries(entries) as Record<Key, CopyEntry>);
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

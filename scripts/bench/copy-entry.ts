/** One line of the copy bench: a contender on a data set, into an empty database each time, and checked each time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkRows } from './check-rows.ts';
import { freshTarget, openDatabase, runAll, type LoadedData } from './cluster-pair.ts';
import { whyNotRun, type Contender, type CopyJob, type CopyMeasurement } from './contender.ts';
import { verify } from './opendts-run.ts';
import type { Bench, Entry } from './rounds.ts';

export interface CopyLine {
  readonly contender: Contender;
  readonly data: LoadedData;
  readonly jobs: number;
  readonly rounds: number;
}

export interface CopyEntry extends Entry<CopyMeasurement>, CopyLine {}

export function copyEntry(bench: Bench, line: CopyLine): CopyEntry {
  return {
    ...line,
    name: `${line.data.database}: ${line.contender.name}`,
    whyNot: whyNotRun(line.contender, bench.env),
    run: (round) => runOnce(bench, line, round),
  };
}

async function runOnce(
  { pair, env, signal }: Bench,
  line: CopyLine,
  round: number,
): Promise<CopyMeasurement> {
  const { contender, data, jobs, rounds } = line;
  const scratch = mkdtempSync(join(tmpdir(), 'opendts-bench-'));
  try {
    await freshTarget(pair, data.database);
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

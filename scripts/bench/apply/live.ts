/**
 * Two followers at work at the same time, each with a source database and a target database of its own, so that load can go to one and
 * then to the other without a start in between.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dropDatabases, load, type ClusterPair, type LoadedData } from '../cluster-pair.ts';
import { processCpu } from '../cpu-time.ts';
import type { DataSet } from '../data-sets.ts';
import type { Bench } from '../rounds.ts';
import { copySlot, dropSlot, setUp } from './backlog.ts';
import type { Drainer, Follower } from './drainer.ts';
import { probe, probeTable } from './probe.ts';

export interface Live extends AsyncDisposable {
  readonly name: string;
  readonly database: string;
  readonly pair: ClusterPair;
  readonly data: LoadedData;
  readonly follower: Follower;
  /** CPU seconds of its own process so far; 0 where it has none. */
  ownCpu(): number;
}

const WARM_UP = { perSecond: 20, seconds: 1, pollMs: 5 };

/** Sets a database up, with a table for probes, and follows it: the first probes have arrived. */
export async function startLive(bench: Bench, drainer: Drainer, set: DataSet): Promise<Live> {
  const { pair, env, signal } = bench;
  const data = await load(pair, { ...set, tables: [...set.tables, probeTable] });
  const { database } = data;
  const task = await setUp(bench, data);
  const slot = drainer.slotOf(task);
  if (slot !== task) {
    await copySlot(pair, database, { from: task, to: slot });
    await dropSlot(pair, task);
  }
  const scratch = mkdtempSync(join(tmpdir(), 'opendts-bench-'));
  const job = { pair, database, end: '', scratch, env, signal };
  const follower = await drainer.start(job);
  const live = {
    name: drainer.name,
    database,
    pair,
    data,
    follower,
    ownCpu: () => (follower.pid === null ? 0 : processCpu(follower.pid)),
    [Symbol.asyncDispose]: async () => {
      await follower.stop();
      rmSync(scratch, { recursive: true, force: true });
      if (signal.aborted) return;
      await dropSlot(pair, slot);
      await dropDatabases(pair, [database]);
    },
  };
  await probe(live, WARM_UP, signal);
  return live;
}

/** One drain of a backlog by one contender: from the moment its slot is read until the last row of the load is visible in the target. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from '../../../src/base/runtime/sleep.ts';
import type { Session } from '../../../src/engine/pg/session.ts';
import { openDatabase } from '../cluster-pair.ts';
import { peakMemory, processCpu } from '../cpu-time.ts';
import { cpuBetween, readCpu, type Measurement } from '../measurement.ts';
import { verify } from '../opendts-run.ts';
import type { Bench, Entry } from '../rounds.ts';
import { resetSlot, resetTarget, type Backlog } from './backlog.ts';
import type { Drainer, FollowJob } from './drainer.ts';
import { END_TABLE } from './workloads.ts';

export interface DrainMeasurement extends Measurement {
  /** From its start to the moment its slot is read: not part of the drain. */
  readonly startMs: number;
  /** CPU seconds of its own process until then. */
  readonly startCpu: number;
  /** Row changes received; only the client that does nothing else counts them. */
  readonly changes: number | null;
}

export interface DrainEntry extends Entry<DrainMeasurement> {
  readonly drainer: Drainer;
  readonly backlog: Backlog;
}

export function drainEntry(
  bench: Bench,
  drainer: Drainer,
  line: { backlog: Backlog; rounds: number },
): DrainEntry {
  const { backlog, rounds } = line;
  return {
    name: `${backlog.data.database}: ${drainer.name}`,
    rounds,
    whyNot: null,
    drainer,
    backlog,
    run: () => drainOnce(bench, drainer, backlog),
  };
}

async function drainOnce(bench: Bench, drainer: Drainer, backlog: Backlog): Promise<DrainMeasurement> {
  const { pair, env, signal } = bench;
  const { data } = backlog;
  const scratch = mkdtempSync(join(tmpdir(), 'opendts-bench-'));
  try {
    await resetTarget(pair, data.database);
    await resetSlot(backlog, drainer.slotOf(backlog.slot));
    const job: FollowJob = {
      pair,
      database: data.database,
      end: backlog.end,
      scratch,
      env,
      signal,
    };
    const { measurement, applies } = await timed(drainer, backlog, job);
    if (applies) await verify({ pair, data, jobs: 2, env, signal });
    return measurement;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function timed(
  drainer: Drainer,
  backlog: Backlog,
  job: FollowJob,
): Promise<{ measurement: DrainMeasurement; applies: boolean }> {
  const { pair, database, signal } = job;
  await using source = await openDatabase(pair.source, database);
  await using target = await openDatabase(pair.target, database);
  const began = performance.now();
  const follower = await drainer.start(job);
  const own = () => (follower.pid === null ? 0 : processCpu(follower.pid));
  try {
    await Promise.race([isRead(source, drainer.slotOf(backlog.slot), signal), follower.broken]);
    const started = performance.now();
    const before = readCpu(pair, own());
    const ended = await Promise.race([follower.finished ?? isVisible(target, signal), follower.broken]);
    const wallMs = performance.now() - started;
    const cpu = cpuBetween(before, readCpu(pair, own()));
    const measurement = {
      wallMs,
      cpu,
      peakMemory: follower.pid === null ? null : peakMemory(follower.pid),
      startMs: started - began,
      startCpu: before.client,
      changes: ended?.changes ?? null,
    };
    return { measurement, applies: follower.finished === null };
  } finally {
    await follower.stop();
  }
}

const POLL_MS = 5;

async function isRead(source: Session, slot: string, signal: AbortSignal): Promise<void> {
  const sql = 'SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active';
  while ((await source.query(sql, [slot])).length === 0) await sleep(POLL_MS, signal);
}

/** The same cheap question for all: a row of one small table. */
async function isVisible(target: Session, signal: AbortSignal): Promise<null> {
  while ((await target.query(`SELECT FROM public.${END_TABLE}`)).length === 0) await sleep(POLL_MS, signal);
  return null;
}

/** What the tests of a broken stream share: exact accounts, what stands on the two ends, a load, and how to follow it to its end. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { ledgerDifferences, openWitness, readLedger } from '../scripts/faults/witness.ts';
import { startWriters, type WriterOptions, type Writers } from '../scripts/faults/writers.ts';
import type { DatabasePair, TestDatabase } from './database.ts';
import { follow, pause, type Following } from './follow.ts';
import { compare, type RunOptions } from './migration.ts';
import type { RunningCli } from './spawn-cli.ts';

export type Pair = Pick<DatabasePair, 'source' | 'target'>;

export interface Books extends AsyncDisposable {
  /** A line for each account of the target, and for the commits, that is not exactly what the source has sent since (I6). */
  differences(): Promise<string[]>;
}

/** Opened while all is applied and nobody writes. */
export async function openBooks({ source, target }: Pair): Promise<Books> {
  const before = await readLedger(target.session);
  const witness = await openWitness(() => source.open({ role: 'witness' }), `witness_${source.name}`);
  return {
    differences: async () =>
      ledgerDifferences(await witness.count(), await readLedger(target.session), before),
    [Symbol.asyncDispose]: () => witness[Symbol.asyncDispose](),
  };
}

/** Sessions of ours that are left in the two databases; a server takes a moment to notice that a client is gone. */
export async function backendsOf(pair: Pair): Promise<string[]> {
  const names = async ({ session }: TestDatabase) =>
    (
      await session.query(
        `SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'opendts:%'`,
      )
    ).map((row) => row.application_name ?? '');
  for (let attempt = 0; ; attempt++) {
    const left = [...(await names(pair.source)), ...(await names(pair.target))];
    if (left.length === 0 || attempt >= 50) return left;
    await pause(100);
  }
}

/** Every row of both ends with the transaction that wrote it and its place, and what the source keeps for us. */
export async function stateOf({ source, target }: Pair): Promise<Record<string, string>> {
  const state: Record<string, string> = {};
  for (const [side, { session }] of Object.entries({ source, target })) {
    const tables = await session.query(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'`,
    );
    for (const { name } of tables) {
      const { rows } = await session.one(
        `SELECT count(*) || ' ' || md5(string_agg(concat_ws(' ', xmin, ctid), ',' ORDER BY ctid)) AS rows FROM ${name}`,
      );
      state[`${side} ${name}`] = rows ?? 'none';
    }
  }
  const slots = await source.session.query(
    'SELECT slot_name, confirmed_flush_lsn::text AS at FROM pg_replication_slots WHERE database = current_database()',
  );
  for (const { slot_name: name, at } of slots) state[`slot ${name}`] = at ?? '';
  return state;
}

/** Resolves when the process stands still. */
export async function stopped({ child, output }: RunningCli): Promise<void> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`it was to stand still, but ended:\n${output().stderr}`);
    const state = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ').at(-1)?.[0];
    if (state === 'T') return;
    await pause(10);
  }
}

/** Two writers on the source. */
export const writersOn = (source: TestDatabase, options: Partial<WriterOptions> = {}): Writers =>
  startWriters(() => source.open({ role: 'writer' }), 1, {
    writers: 2,
    pauseMs: 10,
    shares: { bulk: 0.005, moves: 0.005 },
    holds: false,
    ...options,
  });

interface Disturbance extends RunOptions {
  readonly disturb: (following: Following) => Promise<void>;
  readonly load?: Partial<WriterOptions>;
}

/**
 * Follows a source with STREAM_TABLES, lets `disturb` happen under load, catches up, and compares content and accounts. Returns the
 * events. `disturb` may end early: the load goes on for a moment.
 */
export async function disturbed(
  pair: Pair,
  { disturb, load, ...options }: Disturbance,
): Promise<Following['events']> {
  const abort = new AbortController();
  const following = await follow(pair.source, pair.target, { ...options, signal: abort.signal });
  following.migration.finished.catch(() => {});
  await using books = await openBooks(pair);
  const writers = writersOn(pair.source, load);
  try {
    await writers.reach(10);
    await disturb(following);
    await writers.reach(30);
    await writers.stop();
  } catch (thrown) {
    abort.abort();
    await writers.stop().catch(() => {});
    await following.migration.finished.catch(() => {});
    throw thrown;
  }
  await following.catchUp();
  await expectExact(pair, books);
  return following.events;
}

/** The two ends hold the same, the accounts are exactly what the source sent, and no session of ours is left. */
export async function expectExact(pair: Pair, books: Books): Promise<void> {
  expect((await compare(pair.source, pair.target)).differing).toEqual([]);
  expect(await books.differences()).toEqual([]);
  expect(await backendsOf(pair)).toEqual([]);
}

/** How often the stream was begun anew. */
export const retries = (events: Following['events']): number =>
  events.filter(({ message }) => message.includes('Trying again in')).length;

const NOTICE_MS = 3_000;

/** Breaks something so many times, at random moments, until the stream has noticed: it may just have been about to open what breaks. */
export function breaking(
  times: number,
  work: () => Promise<unknown>,
): (following: Following) => Promise<void> {
  return async ({ events }) => {
    for (let noticed = 0, round = 0; round < times; round++) {
      await pause(Math.random() * 700);
      while (retries(events) <= noticed) {
        await work();
        for (let wait = 0; wait < NOTICE_MS && retries(events) <= noticed; wait += 20) await pause(20);
      }
      noticed = retries(events);
    }
  };
}

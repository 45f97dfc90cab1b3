/** What the tests of a broken copy share: tables of every kind that is cut in its own way, work on them, and how to meet a copy midway. */
import { expect } from 'vitest';
import { armFailpoint } from '../src/base/runtime/failpoint.ts';
import { AppError } from '../src/base/errors/app-error.ts';
import type { MigrationProgress, MigrationSummary } from '../src/contract/progress.ts';
import type { MigrationType, TableRule } from '../src/contract/task-spec.ts';
import type { Migration } from '../src/service/task/migrate.ts';
import { changeTables, TABLES } from '../scripts/faults/tables.ts';
import { freshPair, type DatabasePair, type TestDatabase } from './database.ts';
import { pause } from './follow.ts';
import type { Major } from './global-setup.ts';
import { compare, start, type RunOptions } from './migration.ts';

export const FULL: readonly MigrationType[] = ['schema', 'full'];
export const ALL: readonly MigrationType[] = ['schema', 'full', 'incremental'];

/** Cuts each of the large tables below into about ten. */
export const CHUNK = 300_000n;

/** Slow enough to be met midway, fast enough for a test: the tables below take three seconds. */
export const SLOW: RunOptions['limits'] = {
  queriesPerSecond: null,
  rowsPerSecond: null,
  bytesPerSecond: 3_000_000,
};

export type Pair = DatabasePair;

/** The source with TABLES or with what is given, behind the oldest transaction that is open. */
export async function pairOf(from: Major, to: Major, sql: string = TABLES): Promise<Pair> {
  const pair = await freshPair(from, to, sql);
  await settled(pair.source);
  return pair;
}

/**
 * Waits until no transaction is open that was before the latest write. The server is shared with other tests, and beside an older
 * transaction a row of now may look written to (source/write-test.ts).
 */
async function settled({ session }: TestDatabase): Promise<void> {
  const { now } = await session.one('SELECT txid_current()::text AS now');
  const isOpen = `SELECT txid_snapshot_xmin(txid_current_snapshot()) <= $1::bigint AS open`;
  while ((await session.one(isOpen, [now ?? null])).open === 't') await pause(20);
}

/** Both ends hold the same, as far as the filters let it pass, and every change is accounted for. */
export async function expectIdentical(
  { source, target }: Pick<Pair, 'source' | 'target'>,
  rules: readonly TableRule[] = [],
): Promise<void> {
  expect((await compare(source, target, rules)).differing).toEqual([]);
  const unbalanced = await target.session.query(
    'SELECT * FROM _opendts.account WHERE received <> applied + folded + filtered + invisible + repeated + dead',
  );
  expect(unbalanced).toEqual([]);
}

/** Writes to TABLES until disposed; throws its own failure then. `first`: another number than any that a writer before has come to. */
export async function writer(source: TestDatabase, pauseMs = 5, first = 0): Promise<AsyncDisposable> {
  const session = await source.open({ role: 'writer' });
  await session.query('SET search_path = public');
  let stopped = false;
  const running = (async () => {
    for (let n = first; !stopped; n++) {
      await session.query(changeTables(n));
      await pause(pauseMs);
    }
  })();
  // Seen again, and then thrown, at the end.
  running.catch(() => {});
  return {
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      await running;
      await session.end();
    },
  };
}

/** Resolves when a running migration is so far; rejects when it ends before. */
export async function until(
  migration: Migration,
  isThere: (progress: MigrationProgress) => boolean,
): Promise<void> {
  let ended = false;
  const end = migration.finished.then(
    () => (ended = true),
    () => (ended = true),
  );
  while (!isThere(migration.progress())) {
    if (ended) {
      await migration.finished;
      throw new Error('the migration ended before it was where the test wanted it');
    }
    await Promise.race([end, pause(5)]);
  }
}

export const chunksDone = (progress: MigrationProgress): number =>
  progress.tables.reduce((sum, { chunksDone: done }) => sum + done, 0);

/** In the middle of the copy and of chunks: some are done, and bytes of others have passed. */
export function midway(chunks = 6): (progress: MigrationProgress) => boolean {
  return (progress) =>
    chunksDone(progress) >= chunks &&
    progress.tables.some(({ stage, bytes }) => stage === 'copying' && bytes > 0n);
}

/** Runs until so many transactions of the copy have committed, one after the other, and stops like a process that is killed there. */
export async function stopAfter(
  { source, target }: Pick<Pair, 'source' | 'target'>,
  commits: number,
  options: RunOptions = {},
): Promise<void> {
  const abort = new AbortController();
  const failpoints = armFailpoint(`copy.after-unit-commit:${commits}`, () => abort.abort());
  const { outcome } = await start(source, target, {
    chunkBytes: CHUNK,
    jobs: 1,
    ...options,
    signal: abort.signal,
    failpoints,
  }).finished;
  expect(outcome).toBe('stopped');
}

/** Ends the task's backends with that role (`copy`, `holder`, `control`, `%` …) on one side; waits until there is one. */
export async function terminate(database: TestDatabase, role: string): Promise<number> {
  for (;;) {
    const rows = await database.session.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'opendts:%' AND application_name LIKE $1`,
      [`%:${role}`],
    );
    if (rows.length > 0) return rows.length;
    await pause(5);
  }
}

/** The books of the copy: what each chunk was read under, and when it was done. */
export async function doneChunks(
  target: TestDatabase,
): Promise<Map<string, { at: string; snapshot: string | null }>> {
  const rows = await target.session.query(
    'SELECT chunk, done_at::text AS at, snapshot FROM _opendts.copy_chunk',
  );
  return new Map(rows.map((row) => [row.chunk ?? '', { at: row.at ?? '', snapshot: row.snapshot ?? null }]));
}

/** Tables (in short) that the migration names in a message of this kind. */
export function named(summary: MigrationSummary, pattern: RegExp): string[] {
  return summary.warnings
    .filter((message) => pattern.test(message))
    .flatMap((message) => message.split(':').at(-1)?.split(',') ?? [])
    .map((name) => name.trim().replace(/^public\./, ''))
    .toSorted();
}

/** How a run failed; throws what is not an error of ours, and when it did not fail. */
export async function failureOf(migration: Migration): Promise<AppError> {
  try {
    const { outcome } = await migration.finished;
    throw new Error(`expected an error, ended with ${outcome}`);
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
}

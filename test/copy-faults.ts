/** What the tests of a broken copy share: tables of every kind that is cut in its own way, work on them, and how to meet a copy midway. */
import { expect } from 'vitest';
import { armFailpoint } from '../src/base/runtime/failpoint.ts';
import { AppError } from '../src/base/errors/app-error.ts';
import type { MigrationProgress, MigrationSummary } from '../src/contract/progress.ts';
import type { MigrationType } from '../src/contract/task-spec.ts';
import type { Migration } from '../src/service/task/migrate.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
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

/**
 * `ordered` is cut by key where changes are followed; `scattered` and the keyless `loose`, with many equal rows, by place; `toasted` by
 * key with values outside the row; `part` has partitions of which one is cut; the others are small.
 */
export const TABLES = `
  CREATE TABLE ordered (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, v text);
  INSERT INTO ordered SELECT i, 0, repeat(md5(i::text), 5) FROM generate_series(1, 12000) i;
  CREATE TABLE scattered (id uuid PRIMARY KEY, v text);
  INSERT INTO scattered SELECT md5(i::text)::uuid, repeat('s', 150) FROM generate_series(1, 8000) i;
  CREATE TABLE loose (a int, b text);
  INSERT INTO loose SELECT i % 50, repeat('x', 200) FROM generate_series(1, 8000) i;
  CREATE TABLE toasted (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, doc text);
  ALTER TABLE toasted ALTER doc SET STORAGE EXTERNAL;
  INSERT INTO toasted SELECT i, 0, repeat(md5(i::text), 150) FROM generate_series(1, 400) i;
  CREATE TABLE part (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
  CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0); CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
  INSERT INTO part SELECT i, CASE WHEN i % 10 = 0 THEN 1 ELSE 0 END, repeat('p', 200) FROM generate_series(1, 4000) i;
  CREATE TABLE small_a (id int PRIMARY KEY, v text); INSERT INTO small_a SELECT i, 'a' FROM generate_series(1, 100) i;
  CREATE TABLE small_b (a int, b text); INSERT INTO small_b SELECT i % 3, 'b' FROM generate_series(1, 100) i;
  CREATE TABLE nothing (id int PRIMARY KEY);
  ANALYZE`;

export interface Pair extends AsyncDisposable {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
}

/** Two fresh databases, the source with TABLES or with what is given. */
export async function pairOf(from: Major, to: Major, sql: string = TABLES): Promise<Pair> {
  const source = await freshDatabase(from);
  const target = await freshDatabase(to);
  await source.session.query(sql);
  return {
    source,
    target,
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

/** Both ends hold the same, and every change is accounted for. */
export async function expectIdentical({ source, target }: Pick<Pair, 'source' | 'target'>): Promise<void> {
  expect((await compare(source, target)).differing).toEqual([]);
  const unbalanced = await target.session.query(
    'SELECT * FROM _opendts.account WHERE received <> applied + folded + filtered + invisible + repeated + dead',
  );
  expect(unbalanced).toEqual([]);
}

/** One transaction of the writer: moves between ranges and partitions, equal rows, values outside the row, savepoints, rollbacks. */
function transaction(n: number): string {
  const id = 1 + Math.floor(Math.random() * 12_000);
  const doc = 1 + Math.floor(Math.random() * 400);
  const work = [
    `UPDATE ordered SET n = n + 1 WHERE id BETWEEN ${id} AND ${id + 30}`,
    `DELETE FROM ordered WHERE id = ${id}`,
    `UPDATE ordered SET id = id + 100000 WHERE id = ${id + 1}`,
    `INSERT INTO ordered VALUES (${200_000 + n}, 1, 'new')`,
    `SAVEPOINT s; UPDATE toasted SET n = n + 1 WHERE id = ${doc}; RELEASE s`,
    `UPDATE toasted SET id = id + 1000 WHERE id = ${doc} AND ${n} % 40 = 0`,
    `INSERT INTO scattered VALUES (md5('n${n}')::uuid, 'n'); DELETE FROM scattered WHERE id = md5('${id}')::uuid`,
    `DELETE FROM loose WHERE ctid = (SELECT ctid FROM loose LIMIT 1); INSERT INTO loose VALUES (${n % 50}, 'y'), (${n % 50}, 'y')`,
    `UPDATE loose SET a = a + 1 WHERE ctid = (SELECT ctid FROM loose WHERE a = ${n % 50} LIMIT 1)`,
    `UPDATE part SET k = 1 - k WHERE id = ${1 + (n % 4000)}`,
    `SAVEPOINT s; INSERT INTO small_b VALUES (${n}, 'lost'); ROLLBACK TO s`,
    `INSERT INTO small_b VALUES (${n}, 'kept')`,
  ];
  const chosen = work.filter(() => Math.random() < 0.35);
  return `BEGIN; ${chosen.join('; ')}; ${Math.random() < 0.1 ? 'ROLLBACK' : 'COMMIT'}`;
}

/** Writes to TABLES until disposed; throws its own failure then. */
export async function writer(source: TestDatabase, pauseMs = 5): Promise<AsyncDisposable> {
  const session = await source.open({ role: 'writer' });
  await session.query('SET search_path = public');
  let stopped = false;
  const running = (async () => {
    for (let n = 0; !stopped; n++) {
      await session.query(transaction(n));
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

/** Changes are applied while the rest is copied (data-plane, "Rolling copy"): where one snapshot would cost the source too much. */
import { describe, expect, it } from 'vitest';
import { freshPair, type TestDatabase } from './database.ts';
import { pause, reaches } from './follow.ts';
import { compare, start } from './migration.ts';
import type { MigrationEvent } from '../src/contract/progress.ts';
import { endOfWal } from '../src/engine/pg/wal-position.ts';
import type { Lsn } from '../src/engine/change/lsn.ts';
import { NO_LIMITS } from '../src/engine/source/throttle.ts';

/** Cut by key, cut by place (two unique keys), whole, without a key, with values out of line. */
const TABLES = `
  CREATE TABLE by_key (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 0);
  INSERT INTO by_key SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 20000) i;
  CREATE TABLE two_keys (id int PRIMARY KEY, u int UNIQUE, v text);
  INSERT INTO two_keys SELECT i, -i, repeat(md5(i::text), 20) FROM generate_series(1, 20000) i;
  CREATE TABLE no_key (a int, b text);
  INSERT INTO no_key SELECT i % 50, repeat(md5((i % 7)::text), 5) FROM generate_series(1, 5000) i;
  CREATE TABLE wide (id int PRIMARY KEY, big text, n int NOT NULL DEFAULT 0);
  ALTER TABLE wide ALTER big SET STORAGE EXTERNAL;
  INSERT INTO wide SELECT i, repeat(md5(i::text), 200) FROM generate_series(1, 1500) i;
  CREATE TABLE quiet (id int PRIMARY KEY, v text);
  INSERT INTO quiet SELECT i, repeat('x', 500) FROM generate_series(1, 5000) i;
  ANALYZE`;

/** Writes to all tables but one, as fast as the source lets it, until told to end. */
async function load(source: TestDatabase, signal: AbortSignal): Promise<number> {
  await using session = await source.open();
  let turn = 0;
  for (; !signal.aborted; turn++) {
    const at = (range: number) => ((turn * 7919) % range) + 1;
    await session.query(`BEGIN;
      UPDATE public.by_key SET n = n + 1, v = 'u' || v WHERE id IN (${at(20000)}, ${at(300)});
      UPDATE public.by_key SET id = id + 100000 WHERE id = ${at(20000)};
      UPDATE public.by_key SET id = id - 100000 WHERE id > 100000 AND id % 2 = 0;
      DELETE FROM public.two_keys WHERE id = ${at(20000)};
      INSERT INTO public.two_keys VALUES (${30000 + turn}, ${turn}, 'new');
      UPDATE public.no_key SET b = b || 'x' WHERE ctid IN (SELECT ctid FROM public.no_key WHERE a = ${at(50)} - 1 LIMIT 2);
      DELETE FROM public.no_key WHERE ctid IN (SELECT ctid FROM public.no_key WHERE a = ${at(49)} LIMIT 1);
      INSERT INTO public.no_key VALUES (${at(50)} - 1, 'again'), (${at(50)} - 1, 'again');
      UPDATE public.wide SET n = n + 1 WHERE id = ${at(1500)};
      COMMIT`);
    if (turn % 50 === 49) await session.query('BEGIN; DELETE FROM public.wide WHERE id < 3; ROLLBACK');
    await pause(2);
  }
  return turn;
}

describe.each([12, 15, 18] as const)(
  'a copy that costs the source more than its budget, on PostgreSQL %i',
  (major) => {
    it('goes on beside the stream, under one snapshot after the other, and ends exact', async () => {
      await using pair = await freshPair(major, major);
      const { source, target } = pair;
      await source.session.query(TABLES);
      const ended = new AbortController();
      const loading = load(source, ended.signal);
      const events: MigrationEvent[] = [];
      const goal = Promise.withResolvers<Lsn>();
      const migration = start(source, target, {
        events,
        chunkBytes: 1_000_000n,
        walBudget: { bytes: 1n << 60n, ms: 700 },
        limits: { ...NO_LIMITS, bytesPerSecond: 15e6 },
        until: { kind: 'lsn', lsn: goal.promise },
      });
      await reaches(migration, 'stream');
      ended.abort();
      expect(await loading).toBeGreaterThan(50);
      goal.resolve(await endOfWal(source.session));
      const summary = await migration.finished;
      expect(events.map(({ message }) => message).join('\n')).toContain('Changes are applied from now on');
      expect(summary.copiedLater.length).toBeGreaterThan(0);
      expect((await compare(source, target)).differing).toEqual([]);
    });
  },
);

it('says for which tables the stream will wait, how long, and what the source will keep', async () => {
  await using pair = await freshPair(
    17,
    17,
    `CREATE TABLE parts (id int PRIMARY KEY, v text); INSERT INTO parts SELECT i, repeat('p', 500) FROM generate_series(1, 15000) i;
     CREATE TABLE whole (a int, v text); INSERT INTO whole SELECT id, v FROM parts WHERE id <= 8000; ANALYZE`,
  );
  const migration = start(pair.source, pair.target, {
    jobs: 1,
    chunkBytes: 300_000n,
    walBudget: { bytes: 1n, ms: 2_000 },
    limits: { ...NO_LIMITS, bytesPerSecond: 1e6 },
  });
  await reaches(migration, 'catch-up');
  migration.limit(NO_LIMITS);
  const { warnings } = await migration.finished;
  expect(warnings.filter((message) => message.includes('in one piece'))).toEqual([
    expect.stringMatching(/^public\.whole \(0\.\d+ GB\) .* takes about \d+ s: .* keeps about \d/),
  ]);
  expect((await compare(pair.source, pair.target)).differing).toEqual([]);
});

/**
 * A followed migration whose snapshot is lost midway: parts of one table are then of different moments, and the stream must bring them
 * together (data-plane I2, I3). The first run stops after a few chunks, the source changes, the second run copies the rest.
 */
import { describe, expect, it } from 'vitest';
import type { MigrationEvent } from '../src/contract/progress.ts';
import type { Cut } from '../src/engine/change/cut.ts';
import {
  ALL,
  CHUNK,
  doneChunks,
  expectIdentical,
  pairOf,
  stopAfter,
  terminate,
  until,
  chunksDone,
  SLOW,
  writer,
  type Pair,
} from './copy-faults.ts';
import { pause } from './follow.ts';
import { migrate, start } from './migration.ts';
import { firstOf } from './matrix.ts';

/** One table cut by key, of about ten ranges. */
const ORDERED = `
  CREATE TABLE ordered (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, v text);
  INSERT INTO ordered SELECT i * 10, 0, repeat(md5(i::text), 5) FROM generate_series(1, 12000) i;
  ANALYZE`;
const TOASTED = `
  CREATE TABLE toasted (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, doc text);
  ALTER TABLE toasted ALTER doc SET STORAGE EXTERNAL;
  INSERT INTO toasted SELECT i * 10, 0, repeat(md5(i::text), 250) FROM generate_series(1, 400) i;
  ANALYZE`;

/** The bounds of the only cut, and how many of its ranges, the first ones, are done. */
async function cutOf({ target }: Pair): Promise<{ bounds: number[]; done: number }> {
  const row = await target.session.one('SELECT cut FROM _opendts.copy_cut');
  const cut = JSON.parse(row.cut ?? '') as Cut;
  if (cut.kind !== 'key') throw new Error(`the table is cut by ${cut.kind}`);
  return { bounds: cut.bounds.map(Number), done: (await doneChunks(target)).size };
}

interface Midway extends Pair {
  /** Where ranges begin; those before `edge` are of the slot's snapshot, the others of a later one. */
  readonly bounds: readonly number[];
  readonly edge: number;
  /** Runs again to the end; returns what it said. */
  finish(): Promise<MigrationEvent[]>;
}

/** A copy of one table that was stopped after four of its ranges. */
async function midway(
  sql: string,
  [from, to]: readonly [12 | 15 | 17 | 18, 12 | 15 | 17 | 18],
): Promise<Midway> {
  const pair = await pairOf(from, to, sql);
  await stopAfter(pair, 4, { types: ALL });
  const { bounds, done } = await cutOf(pair);
  expect(done).toBe(4);
  expect(bounds.length).toBeGreaterThanOrEqual(6);
  return {
    ...pair,
    bounds,
    edge: bounds[3] ?? 0,
    finish: async () => {
      const events: MigrationEvent[] = [];
      await migrate(pair.source, pair.target, { types: ALL, chunkBytes: CHUNK, events });
      await expectIdentical(pair);
      return events;
    },
  };
}

const VERSIONS = firstOf(1, [
  [12, 18],
  [18, 17],
] as const);
const MOVED = /moved between ranges/;

describe.each(VERSIONS)('from %i to %i, ranges of two moments', (...versions) => {
  it('take inserts, updates and deletes at their bounds once each', async () => {
    await using run = await midway(ORDERED, versions);
    const { source, bounds } = run;
    for (const bound of bounds) {
      await source.session.query(`DELETE FROM ordered WHERE id = ${bound}`);
      await source.session.query(
        `INSERT INTO ordered VALUES (${bound - 1}, 1, 'before'), (${bound + 1}, 1, 'after'); UPDATE ordered SET n = 9 WHERE id = ${bound + 10}`,
      );
    }
    await source.session.query(
      `INSERT INTO ordered VALUES (${bounds[0]}, 2, 'the bound itself'), (-2147483648, 3, 'least'), (2147483647, 3, 'most')`,
    );
    await run.finish();
  });

  it('take rows that move from one to the other, in both directions', async () => {
    await using run = await midway(ORDERED, versions);
    const { source, edge } = run;
    await source.session.query(`UPDATE ordered SET id = ${edge} + id + 3 WHERE id < 200`);
    await source.session.query(
      `UPDATE ordered SET id = id - ${edge} - 2000000 WHERE id > ${edge} AND id % 70 = 0`,
    );
    // There and back, in one transaction and in two.
    await source.session.query(
      `BEGIN; UPDATE ordered SET id = id + 1000001 WHERE id = 500; UPDATE ordered SET id = id - 1000001, n = 5 WHERE id = 1000501; COMMIT`,
    );
    await source.session.query('UPDATE ordered SET id = id + 1000001 WHERE id = 510');
    await source.session.query('UPDATE ordered SET id = id - 1000001 WHERE id = 1000511');
    const events = await run.finish();
    expect(events.some(({ message }) => MOVED.test(message))).toBe(false);
  });

  it('take a row that moves up with a value that the stream does not carry', async () => {
    await using run = await midway(TOASTED, versions);
    await run.source.session.query(
      `UPDATE toasted SET id = ${run.edge} + 5 WHERE id = 20; UPDATE toasted SET n = 7 WHERE id = 30`,
    );
    const events = await run.finish();
    expect(events.some(({ message }) => MOVED.test(message))).toBe(false);
  });

  it('are copied again, both, when a row moves down with a value that the stream does not carry', async () => {
    await using run = await midway(TOASTED, versions);
    const { source, target, edge } = run;
    await source.session.query(`UPDATE toasted SET id = 5 WHERE id = (SELECT max(id) FROM toasted)`);
    await source.session.query(
      `UPDATE toasted SET id = 15 WHERE id = (SELECT min(id) FROM toasted WHERE id > ${edge} + 20)`,
    );
    await source.session.query('UPDATE toasted SET n = n + 1 WHERE id < 100');
    const before = await doneChunks(target);
    const events = await run.finish();
    expect(events.filter(({ message }) => MOVED.test(message))).not.toEqual([]);
    const after = await doneChunks(target);
    const kept = [...before].filter(([chunk, { at }]) => after.get(chunk)?.at === at).map(([chunk]) => chunk);
    // The others of the first moment stay.
    expect(kept.length).toBeGreaterThanOrEqual(2);
    expect(kept).not.toContain('["public","toasted",0]');
  });

  it('take it without that where the old row is sent whole', async () => {
    await using run = await midway(
      TOASTED.replace('ANALYZE', 'ALTER TABLE toasted REPLICA IDENTITY FULL; ANALYZE'),
      versions,
    );
    const { source, edge } = run;
    await source.session.query(`UPDATE toasted SET id = 5 WHERE id = (SELECT max(id) FROM toasted)`);
    await source.session.query(
      `UPDATE toasted SET id = 15, n = 3 WHERE id = (SELECT min(id) FROM toasted WHERE id > ${edge} + 20); UPDATE toasted SET n = 4 WHERE id = 5`,
    );
    const events = await run.finish();
    expect(events.some(({ message }) => MOVED.test(message))).toBe(false);
  });

  it('are emptied as far as they are older, when the table was truncated in between, and take what came then', async () => {
    await using run = await midway(ORDERED, versions);
    const { source, edge } = run;
    await source.session.query('UPDATE ordered SET n = 1 WHERE id % 3 = 0');
    await source.session.query('TRUNCATE ordered');
    await source.session.query(
      `INSERT INTO ordered SELECT i * 10, 1, 'refilled' FROM generate_series(1, 12000, 7) i`,
    );
    await source.session.query(
      `UPDATE ordered SET id = id - ${edge} + 1 WHERE id BETWEEN ${edge} AND ${edge} + 2000`,
    );
    await run.finish();
  });

  it('take a TRUNCATE that comes after both, and one in the middle of a transaction', async () => {
    await using run = await midway(ORDERED, versions);
    const { source } = run;
    await source.session.query(
      `BEGIN; INSERT INTO ordered VALUES (3, 1, 'gone'); SAVEPOINT s; TRUNCATE ordered; RELEASE s; INSERT INTO ordered SELECT i * 10, 4, 'in' FROM generate_series(1, 12000, 5) i; COMMIT`,
    );
    await run.finish();
    await source.session.query('TRUNCATE ordered');
    await source.session.query(
      `INSERT INTO ordered SELECT i * 10, 5, 'again' FROM generate_series(1, 500) i`,
    );
    await run.finish();
  });

  it('take transactions that were open, in sub-transactions or rolled back over both snapshots', async () => {
    await using pair = await pairOf(...versions, ORDERED);
    const { source } = pair;
    await stopAfter(pair, 4, { types: ALL });
    await using open = await source.open({ role: 'open' });
    await using back = await source.open({ role: 'back' });
    await open.query(
      `BEGIN; UPDATE public.ordered SET n = 8 WHERE id % 900 = 0; SAVEPOINT a; DELETE FROM public.ordered WHERE id % 1100 = 0; RELEASE a; SAVEPOINT b; INSERT INTO public.ordered VALUES (4, 0, 'lost'); ROLLBACK TO b; UPDATE public.ordered SET id = id + 3 WHERE id % 700 = 0`,
    );
    await back.query('BEGIN; DELETE FROM public.ordered WHERE id % 1300 = 10');
    const migration = start(source, pair.target, { types: ALL, chunkBytes: CHUNK });
    await until(migration, (progress) => chunksDone(progress) > 5);
    await open.query('COMMIT');
    await back.query('ROLLBACK');
    await migration.finished;
    await migrate(source, pair.target, { types: ALL });
    await expectIdentical(pair);
  });
});

describe('a table with a second unique key, ranges of two moments', () => {
  const UNIQUE = `
    CREATE TABLE ordered (id int PRIMARY KEY, email text NOT NULL UNIQUE, v text);
    INSERT INTO ordered SELECT i * 10, 'user ' || i, repeat(md5(i::text), 5) FROM generate_series(1, 12000) i;
    ANALYZE`;

  it('takes a value that moved from a row of the one to a row of the other', async () => {
    await using run = await midway(UNIQUE, [17, 18]);
    const { source, edge } = run;
    await source.session.query(
      `DELETE FROM ordered WHERE id = 20; UPDATE ordered SET email = 'user 2' WHERE id = ${edge} + 100`,
    );
    await run.finish();
  });

  it('takes a value that was in the one for a while and is in the other now', async () => {
    await using run = await midway(UNIQUE, [17, 18]);
    const { source, edge } = run;
    await source.session.query(`INSERT INTO ordered VALUES (3, 'passing', 'x')`);
    await source.session.query('DELETE FROM ordered WHERE id = 3');
    await source.session.query(`INSERT INTO ordered VALUES (${edge} + 3, 'passing', 'y')`);
    await run.finish();
  });

  it('takes it also where the keys are an exclusion constraint or a partial index', async () => {
    await using run = await midway(
      `CREATE TABLE ordered (id int PRIMARY KEY, room int, during int4range, tag text, v text, EXCLUDE USING gist (during WITH &&));
       CREATE UNIQUE INDEX ordered_tag ON ordered (lower(tag)) WHERE tag <> '';
       INSERT INTO ordered SELECT i * 10, i, int4range(i * 10, i * 10 + 5), 'Tag ' || i, repeat(md5(i::text), 5) FROM generate_series(1, 12000) i;
       ANALYZE`,
      [15, 17],
    );
    const { source, edge } = run;
    await source.session.query(
      `DELETE FROM ordered WHERE id IN (20, 30); UPDATE ordered SET during = int4range(20, 25) WHERE id = ${edge} + 100; UPDATE ordered SET tag = 'TAG 3' WHERE id = ${edge} + 200`,
    );
    await run.finish();
  });
});

describe('the holder of the snapshot is lost while rows are written', () => {
  it.each(
    firstOf(2, [
      [12, 17],
      [18, 18],
      [15, 12],
    ] as const),
  )('from %i to %i: what is copied stays, the rest follows under a later one', async (from, to) => {
    await using pair = await pairOf(from, to);
    const { source, target } = pair;
    const events: MigrationEvent[] = [];
    {
      await using _ = await writer(source);
      const migration = start(source, target, { types: ALL, chunkBytes: CHUNK, limits: SLOW, events });
      for (const chunks of [4, 12]) {
        await until(migration, (progress) => chunksDone(progress) >= chunks);
        await terminate(source, 'holder');
        // The workers that have the snapshot keep it: they must take another too.
        await terminate(source, 'copy');
      }
      await migration.finished;
      await pause(50);
    }
    expect(events.filter(({ message }) => /new snapshot/.test(message)).length).toBeGreaterThanOrEqual(1);
    await migrate(source, target, { types: ALL });
    await expectIdentical(pair);
  });
});

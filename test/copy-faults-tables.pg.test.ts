/** Trouble with one table in the middle of a copy: it stops, with its name and the reason; the others are completed. */
import { describe, expect, it } from 'vitest';
import type { MigrationEvent } from '../src/contract/progress.ts';
import {
  ALL,
  CHUNK,
  expectIdentical,
  failureOf,
  FULL,
  pairOf,
  stopAfter,
  until,
  chunksDone,
  SLOW,
} from './copy-faults.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import { compare, migrate, start } from './migration.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { NO_LIMITS } from '../src/engine/source/throttle.ts';

/** One large table, which goes first, and small ones that are reached late. */
const LATE = `
  CREATE TABLE first (id int PRIMARY KEY, v text); INSERT INTO first SELECT i, repeat('f', 200) FROM generate_series(1, 20000) i;
  CREATE TABLE late (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, v text); INSERT INTO late SELECT i, 0, repeat('l', 300) FROM generate_series(1, 200) i;
  CREATE TABLE other (a int, b text); INSERT INTO other SELECT i % 5, 'o' FROM generate_series(1, 200) i;
  ANALYZE`;

async function stateOf(source: TestDatabase, target: TestDatabase): Promise<Record<string, string>> {
  const { verdicts } = await compare(source, target);
  return Object.fromEntries(verdicts.map(({ table, verdict }) => [table.replace(/^public\./, ''), verdict]));
}

const CHANGES = [
  ['a column is added', 'ALTER TABLE late ADD COLUMN extra int DEFAULT 5'],
  ['a column is dropped', 'ALTER TABLE late DROP COLUMN n'],
  ['a type is altered', 'ALTER TABLE late ALTER n TYPE bigint'],
  ['it is dropped', 'DROP TABLE late'],
] as const;

describe.each([
  ['schema,full', FULL],
  ['schema,full,incremental', ALL],
] as const)('%s', (_, types) => {
  it.each(CHANGES)(
    'a table of which %s before its turn stops by name, the others are completed',
    async (_, ddl) => {
      await using pair = await pairOf(18, 17, LATE);
      const { source, target } = pair;
      const migration = start(source, target, { types, chunkBytes: CHUNK, jobs: 1, limits: SLOW });
      await until(migration, (progress) => chunksDone(progress) >= 1);
      await source.session.query(ddl);
      migration.limit(NO_LIMITS);
      const failure = await failureOf(migration);
      expect(failure.code).toMatch(/^(TABLE_CHANGED|COPY_FAILED)$/);
      expect(failure.facts.table).toBe('public.late');
      const state = await stateOf(source, target);
      expect(state).toMatchObject({ first: 'identical', other: 'identical' });
      expect((await target.session.one('SELECT count(*)::text AS n FROM late')).n).toBe('0');
    },
  );

  it.each([
    ['TRUNCATE', `TRUNCATE late; INSERT INTO late SELECT i, 1, 'again' FROM generate_series(1, 200) i`],
    ['VACUUM FULL', 'VACUUM FULL late'],
    ['CLUSTER', 'CLUSTER late USING late_pkey'],
  ] as const)(
    'a table that is rewritten by %s before its turn is copied under a later snapshot',
    async (_, sql) => {
      await using pair = await pairOf(17, 18, LATE);
      const { source, target } = pair;
      const events: MigrationEvent[] = [];
      const migration = start(source, target, { types, chunkBytes: CHUNK, jobs: 1, limits: SLOW, events });
      await until(migration, (progress) => chunksDone(progress) >= 1);
      await source.session.query(sql);
      migration.limit(NO_LIMITS);
      await migration.finished;
      expect(events.some(({ message }) => /rewritten/.test(message))).toBe(true);
      await expectIdentical(pair);
    },
  );
});

it('strict: the table that cannot be copied ends the run at once', async () => {
  await using pair = await pairOf(
    18,
    18,
    `${LATE.replace('ANALYZE', '')}; CREATE TABLE "AAA" (id int); INSERT INTO "AAA" SELECT i FROM generate_series(1, 200000) i; ANALYZE`,
  );
  const { source, target } = pair;
  await stopAfter(pair, 1, { types: FULL });
  await source.session.query('ALTER TABLE first ADD COLUMN extra int');
  // The run begins anew, reads the table as it is now, and finds no such column on the target.
  const failure = await failureOf(start(source, target, { types: FULL, chunkBytes: CHUNK, strict: true }));
  expect(failure.facts.table).toBe('public.first');
  expect((await target.session.one('SELECT count(*)::text AS n FROM late')).n).toBe('0');
});

const REASON = /^(ROW_REFUSED|COPY_FAILED)$/;

describe('a row that cannot pass', () => {
  it.each([
    ['a CHECK', 'CREATE TABLE late (id int PRIMARY KEY, n int, v text, CHECK (id <> 57))', '23514'],
    [
      'a domain',
      `CREATE DOMAIN small AS int CHECK (VALUE < 100); CREATE TABLE late (id small PRIMARY KEY, n int, v text)`,
      '23514',
    ],
    ['the length of a column', `CREATE TABLE late (id int PRIMARY KEY, n int, v varchar(300))`, '22001'],
    [
      'a type that is too small',
      `CREATE TABLE late (id int PRIMARY KEY, n int, v text); CREATE TABLE x (); ALTER TABLE late ALTER n TYPE smallint`,
      '22003',
    ],
    ['a second unique key', 'CREATE TABLE late (id int PRIMARY KEY, n int UNIQUE, v text)', '23505'],
  ] as const)(
    'for %s of the target stops its table with the reason, and the others go on',
    async (_, table, sqlstate) => {
      await using source = await freshDatabase(17);
      await using target = await freshDatabase(18);
      await source.session.query(LATE);
      await source.session.query(
        `UPDATE late SET v = repeat('l', 301) WHERE id = 57; UPDATE late SET n = id; UPDATE late SET n = 70000 WHERE id = 57; UPDATE late SET n = 3 WHERE id = 58`,
      );
      await target.session.query(
        `CREATE TABLE first (id int PRIMARY KEY, v text); ${table}; CREATE TABLE other (a int, b text)`,
      );
      const failure = await failureOf(start(source, target, { types: ['full'], chunkBytes: CHUNK }));
      expect(failure.code).toMatch(REASON);
      expect(failure.facts).toMatchObject({ table: 'public.late', side: 'target', sqlstate });
      expect((await target.session.one('SELECT count(*)::text AS n FROM late')).n).toBe('0');
      expect(await stateOf(source, target)).toMatchObject({ first: 'identical', other: 'identical' });
      // The cause removed, the same command completes.
      await source.session.query(`DELETE FROM late WHERE id >= 57; UPDATE late SET v = left(v, 300)`);
      await migrate(source, target, { types: ['full'], chunkBytes: CHUNK });
      expect((await stateOf(source, target)).late).not.toBe('different');
    },
  );

  it.each(['SQL_ASCII', 'LATIN1'])(
    'of another encoding (%s) passes or stops its table, and the others go on',
    async (encoding) => {
      await using source = await freshDatabase(17);
      await using target = await freshDatabase(18);
      const name = `${source.name}_${encoding.toLowerCase()}`;
      await source.session.query(
        `CREATE DATABASE ${name} ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
      );
      const info = { ...source.info, database: name };
      try {
        await using inside = await connect(info, { side: 'source', applicationName: 'test' });
        await inside.query('SET search_path = public');
        await inside.query(LATE);
        // A single byte 0xE9: é in LATIN1, nothing in UTF8.
        await inside.query(
          `SET client_encoding = '${encoding}'; UPDATE late SET v = convert_from('\\xe9', 'LATIN1') WHERE id = 57`.replace(
            "convert_from('\\xe9', 'LATIN1')",
            encoding === 'LATIN1' ? "convert_from('\\xe9', 'LATIN1')" : "E'\\xe9'",
          ),
        );
        const migration = start(source, target, { types: FULL, sourceInfo: info });
        if (encoding === 'LATIN1') {
          await migration.finished;
          expect(await target.session.one('SELECT v FROM late WHERE id = 57')).toEqual({ v: 'é' });
          return;
        }
        const failure = await failureOf(migration);
        expect(failure.code).toMatch(REASON);
        expect(failure.facts.table).toBe('public.late');
        expect((await target.session.one('SELECT count(*)::text AS n FROM other')).n).toBe('200');
        expect((await target.session.one('SELECT count(*)::text AS n FROM late')).n).toBe('0');
      } finally {
        await source.session.query(`DROP DATABASE ${name}`);
      }
    },
  );
});

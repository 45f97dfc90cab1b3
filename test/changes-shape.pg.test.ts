/**
 * Tables whose columns, types or names change on the source while changes are followed: no row is lost or wrong, the error names table
 * and column, and once the target has been changed by hand the same command goes on. `live`: while it runs; `late`: while it does not.
 */
import { describe, expect, it } from 'vitest';
import type { AppError } from '../src/base/errors/app-error.ts';
import { stoppedTables } from '../src/service/task/stopped.ts';
import { freshPair, type DatabasePair } from './database.ts';
import { follow as followWith } from './follow.ts';
import { compare, migrate as migrateWith, type RunOptions } from './migration.ts';
import { firstOf } from './matrix.ts';

/** Where event triggers note DDL, it is met before the first change that shows it: here the changes alone must do. */
const follow: typeof followWith = (source, target, options) =>
  followWith(source, target, { captureDdl: 'off', ...options });
const migrate: typeof migrateWith = (source, target, options) =>
  migrateWith(source, target, { captureDdl: 'off', ...options });

const TABLES = `CREATE TABLE t (id int PRIMARY KEY, v varchar(10), n int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE keyless (a int, b text); CREATE TABLE other (id int PRIMARY KEY, v text)`;
const SETUP = `${TABLES}; INSERT INTO t SELECT i, 'v' || i, i, repeat(md5(i::text), 100) FROM generate_series(1, 20) i;
  INSERT INTO keyless SELECT i % 3, 'x' FROM generate_series(1, 9) i; INSERT INTO other VALUES (1, 'a')`;
/** Before and behind the change of shape; all of it folds, and the last of it is behind. */
const BEFORE = `UPDATE t SET n = n + 1 WHERE id < 10; INSERT INTO t VALUES (30, 'x', 30); DELETE FROM t WHERE id = 3; DELETE FROM keyless WHERE ctid = (SELECT min(ctid::text)::tid FROM keyless)`;

interface Case {
  readonly name: string;
  readonly source: string;
  /** Behind it. */
  readonly after: string;
  /** What the error says. */
  readonly says: { readonly code: string; readonly message: RegExp };
  /** By hand on the target. */
  readonly target: string;
}

const changed = (difference: RegExp) => ({
  code: 'RELATION_CHANGED',
  message: new RegExp(`public\\.t .*${difference.source}`),
});

const CASES: readonly Case[] = [
  {
    name: 'a column added',
    source: 'ALTER TABLE t ADD w text',
    after: `UPDATE t SET w = 'w' WHERE id < 5; INSERT INTO t (id, w) VALUES (31, 'new')`,
    says: changed(/no column "w"/),
    target: 'ALTER TABLE t ADD w text',
  },
  {
    name: 'a column added with a default, between changes of one transaction',
    source: `INSERT INTO t VALUES (40, 'in', 1); ALTER TABLE t ADD w int NOT NULL DEFAULT 7; INSERT INTO t VALUES (41, 'in', 1, NULL, 8)`,
    after: `UPDATE t SET v = 'later' WHERE id = 40`,
    says: changed(/no column "w"/),
    target: 'ALTER TABLE t ADD w int NOT NULL DEFAULT 7',
  },
  {
    name: 'a column dropped',
    source: 'ALTER TABLE t DROP n',
    after: `UPDATE t SET v = 'u' WHERE id < 5; INSERT INTO t VALUES (31, 'new'); DELETE FROM t WHERE id = 7`,
    says: changed(/no column "n" any more/),
    target: 'ALTER TABLE t DROP n',
  },
  {
    name: 'a column dropped from a table without a key',
    source: 'ALTER TABLE keyless DROP b',
    after: `UPDATE keyless SET a = 7 WHERE a = 1; DELETE FROM keyless WHERE a = 2`,
    says: { code: 'RELATION_CHANGED', message: /public\.keyless .*no column "b" any more/ },
    target: 'ALTER TABLE keyless DROP b',
  },
  {
    name: 'a type made wider',
    source: 'ALTER TABLE t ALTER n TYPE bigint',
    after: `UPDATE t SET n = 5000000000 WHERE id = 5; INSERT INTO t VALUES (31, 'new', 1)`,
    says: changed(/column "n" was integer/),
    target: 'ALTER TABLE t ALTER n TYPE bigint',
  },
  {
    name: 'a length made larger',
    source: 'ALTER TABLE t ALTER v TYPE varchar(20)',
    after: `UPDATE t SET v = repeat('v', 20) WHERE id = 5`,
    says: changed(/column "v" was character varying\(10\)/),
    target: 'ALTER TABLE t ALTER v TYPE varchar(20)',
  },
  {
    name: 'a type whose values were computed anew',
    source: 'ALTER TABLE t ALTER n TYPE bigint USING n * 2',
    after: `UPDATE t SET v = 'u' WHERE id < 5; UPDATE t SET n = n + 1 WHERE id BETWEEN 4 AND 8`,
    says: changed(/column "n" was integer/),
    target: 'ALTER TABLE t ALTER n TYPE bigint USING n * 2',
  },
  {
    name: 'a type of the user made anew',
    source: `CREATE TYPE mood AS ENUM ('v1', 'v2'); ALTER TABLE t ALTER v TYPE mood USING 'v1'`,
    after: `UPDATE t SET v = 'v2' WHERE id < 5`,
    says: changed(/column "v" was character varying\(10\)/),
    target: `CREATE TYPE mood AS ENUM ('v1', 'v2'); ALTER TABLE t ALTER v TYPE mood USING 'v1'`,
  },
  {
    name: 'the key made wider',
    source: 'ALTER TABLE t ALTER id TYPE bigint',
    after: `UPDATE t SET id = 5000000000 WHERE id = 5; UPDATE t SET n = 0 WHERE id > 10; DELETE FROM t WHERE id = 6`,
    says: changed(/column "id" was integer/),
    target: 'ALTER TABLE t ALTER id TYPE bigint',
  },
  {
    name: 'a column renamed',
    source: 'ALTER TABLE t RENAME n TO m',
    after: `UPDATE t SET m = m + 1`,
    says: changed(/no column "m"/),
    target: 'ALTER TABLE t RENAME n TO m',
  },
];

const ends = async (pair: DatabasePair, sql: string) => {
  for (const { session } of [pair.source, pair.target]) await session.query(sql);
};
const failure = (run: Promise<unknown>): Promise<AppError> =>
  run.then(
    () => expect.unreachable('the migration should have failed'),
    (thrown: AppError) => thrown,
  );
const transaction = (sql: string) => `BEGIN; ${sql}; COMMIT`;

async function expectSame({ source, target }: DatabasePair): Promise<void> {
  expect((await compare(source, target)).differing).toEqual([]);
}

describe.each(
  firstOf(1, [
    [12, 18, 'live'],
    [18, 15, 'late'],
  ] as const),
)('a shape that changes, from %i to %i, %s', (from, to, way) => {
  it.each(CASES)('$name', async ({ source, after, says, target }) => {
    await using pair = await freshPair(from, to, SETUP);
    const write = async () => {
      for (const sql of [BEFORE, source, after, `UPDATE other SET v = 'b'`])
        await pair.source.session.query(transaction(sql));
    };
    let run: Promise<unknown>;
    if (way === 'live') {
      const following = await follow(pair.source, pair.target);
      await write();
      run = following.catchUp();
    } else {
      await migrate(pair.source, pair.target);
      await write();
      run = migrate(pair.source, pair.target);
    }
    expect(await failure(run)).toMatchObject({ code: 'TABLES_STOPPED' });
    const stopped = await stoppedTables(pair.target.session);
    expect(stopped).toMatchObject([{ code: says.code, reason: expect.stringMatching(says.message) }]);
    // All that was committed before is there: what is changed by hand now is changed for all of it.
    const there = await pair.target.session.query('SELECT id FROM t WHERE id IN (3, 30, 40, 41)');
    expect(there).toEqual([{ id: '30' }]);
    // As often as it is tried.
    expect(await failure(migrate(pair.source, pair.target))).toMatchObject({ code: 'TABLES_STOPPED' });
    expect(await pair.target.session.query('SELECT v FROM other')).toEqual([{ v: 'b' }]);
    await pair.target.session.query(target);
    await migrate(pair.source, pair.target);
    await expectSame(pair);
    // And from there on.
    await pair.source.session.query(transaction(after.replaceAll('31', '32')));
    await migrate(pair.source, pair.target);
    await expectSame(pair);
  });
});

describe('a target that was changed first', () => {
  it('takes what comes: an added column, a wider type', async () => {
    await using pair = await freshPair(17, 17, SETUP);
    const following = await follow(pair.source, pair.target);
    await pair.source.session.query(BEFORE);
    for (const { session } of [pair.target, pair.source])
      await session.query('ALTER TABLE t ADD w text, ALTER n TYPE bigint');
    await pair.source.session.query(`UPDATE t SET w = 'w', n = 5000000000 WHERE id < 8`);
    // Columns of the target are read when a run begins.
    await following.catchUp().catch(() => {});
    await migrate(pair.source, pair.target);
    await expectSame(pair);
  });

  it('and keeps a type of its own is not asked to give it up', async () => {
    await using pair = await freshPair(17, 17, SETUP);
    await migrate(pair.source, pair.target);
    await pair.target.session.query('ALTER TABLE t ALTER n TYPE numeric');
    await pair.source.session.query(
      `${BEFORE}; ALTER TABLE t ALTER n TYPE bigint; UPDATE t SET n = 5000000000`,
    );
    await migrate(pair.source, pair.target);
    expect(await pair.target.session.query('SELECT DISTINCT n FROM t')).toEqual([{ n: '5000000000' }]);
  });

  it('is ahead where changes still carry a column that was dropped on both, and says so', async () => {
    await using pair = await freshPair(17, 17, SETUP);
    await migrate(pair.source, pair.target);
    await pair.source.session.query('UPDATE t SET n = 5');
    await ends(pair, 'ALTER TABLE t DROP n');
    await pair.source.session.query(`UPDATE t SET v = 'u'`);
    const error = await failure(migrate(pair.source, pair.target, { strict: true }));
    expect(error).toMatchObject({ code: 'COLUMN_GONE', facts: { table: 'public.t', column: 'n' } });
    await pair.target.session.query('ALTER TABLE t ADD n int');
    const behind = await failure(migrate(pair.source, pair.target, { strict: true }));
    expect(behind).toMatchObject({ code: 'RELATION_CHANGED' });
    await pair.target.session.query('ALTER TABLE t DROP n');
    await migrate(pair.source, pair.target);
    await expectSame(pair);
  });
});

describe('a table of the user', () => {
  const TYPES: RunOptions = { types: ['full', 'incremental'] };

  it('does without the columns it was made without, but not without those that are added later', async () => {
    await using pair = await freshPair(17, 17, SETUP);
    await pair.target.session.query(
      'CREATE TABLE t (id bigint PRIMARY KEY, v text, big text); CREATE TABLE keyless (a int, b text); CREATE TABLE other (id int PRIMARY KEY, v text)',
    );
    await migrate(pair.source, pair.target, TYPES);
    await pair.source.session.query(BEFORE);
    await pair.source.session.query('ALTER TABLE t DROP n');
    await pair.source.session.query(`ALTER TABLE t ADD w text; UPDATE t SET w = 'w' WHERE id < 8`);
    for (const _ of [1, 2]) {
      const error = await failure(migrate(pair.source, pair.target, { ...TYPES, strict: true }));
      expect(error).toMatchObject({ code: 'RELATION_CHANGED', message: expect.stringContaining('"w"') });
    }
    await pair.target.session.query('ALTER TABLE t ADD w text, ALTER id TYPE int, ALTER v TYPE varchar(10)');
    await migrate(pair.source, pair.target, TYPES);
    await expectSame(pair);
  });
});

describe('a table that is renamed on the source', () => {
  it('keeps its place, also where two change their names with one another', async () => {
    await using pair = await freshPair(17, 17, SETUP);
    const { source, target } = pair;
    await target.session.query(TABLES);
    const types = ['full', 'incremental'] as const;
    const following = await follow(source, target, { types });
    await source.session.query(BEFORE);
    await source.session.query(`ALTER TABLE t RENAME TO t2; UPDATE t2 SET n = 77 WHERE id < 5`);
    const swap =
      'ALTER TABLE keyless RENAME TO k; ALTER TABLE other RENAME TO keyless; ALTER TABLE k RENAME TO other';
    await source.session.query(
      `${swap}; UPDATE keyless SET v = 'was other'; INSERT INTO other VALUES (1, 'was keyless')`,
    );
    await following.catchUp();
    await source.session.query('INSERT INTO t2 VALUES (50); TRUNCATE other; INSERT INTO other VALUES (9)');
    await migrate(source, target, { types });
    await source.session.query(`ALTER TABLE t2 RENAME TO t; ${swap}`);
    await migrate(source, target, { types });
    await expectSame(pair);
  });

  it('or dropped leaves the others alone', async () => {
    await using pair = await freshPair(17, 17, SETUP);
    await migrate(pair.source, pair.target);
    await pair.source.session.query(`UPDATE other SET v = 'last'`);
    await pair.source.session.query('DROP TABLE other');
    await pair.source.session.query('UPDATE t SET n = 1');
    await migrate(pair.source, pair.target);
    await pair.target.session.query('DROP TABLE other');
    await expectSame(pair);
  });
});

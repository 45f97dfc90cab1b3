/** Several source tables in one of the target: partitions of one table, and tables of their own, whose rows may pass from one to another. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppError } from '../src/base/errors/app-error.ts';
import type { MigrationEvent } from '../src/contract/progress.ts';
import { freshPair, type DatabasePair } from './database.ts';
import { chooseForTables, stoppedTables } from '../src/service/task/stopped.ts';
import { doneChunks, stopAfter } from './copy-faults.ts';
import { follow } from './follow.ts';
import { compare, migrate, type RunOptions } from './migration.ts';
import { firstOf } from './matrix.ts';

interface Case {
  readonly name: string;
  /** The source's tables, and where they go. */
  readonly rename: Readonly<Record<string, string>>;
  readonly source: string;
  readonly target: string;
  /** One transaction each. */
  readonly changes: readonly string[];
}

const BIG = `(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 100) g)`;
const PARTS = `CREATE TABLE parted (id int, k int, v text, big text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
  CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2, 3) PARTITION BY LIST (k);
  CREATE TABLE parted_21 (big text, v text, k int NOT NULL, id int NOT NULL); ALTER TABLE parted_2 ATTACH PARTITION parted_21 FOR VALUES IN (2);
  CREATE TABLE parted_22 PARTITION OF parted_2 FOR VALUES IN (3);
  CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
  INSERT INTO parted SELECT i, 1 + i % 5, 'v' || i, ${BIG} FROM generate_series(1, 50) i`;
const MOVES = [
  `UPDATE parted SET k = 2 WHERE id = 5`,
  `UPDATE parted SET v = 'before' WHERE id < 20; UPDATE parted SET k = 3, v = 'moved' WHERE k = 2 AND id < 20; UPDATE parted SET v = v || '+' WHERE id < 20`,
  `UPDATE parted SET k = 1 + k % 4 WHERE id BETWEEN 20 AND 40; UPDATE parted SET k = 1 + k % 4 WHERE id BETWEEN 20 AND 40`,
  `DELETE FROM parted WHERE id = 11; INSERT INTO parted VALUES (11, 3, 'again', NULL), (61, 99, 'rest', 'b'); UPDATE parted SET id = id + 1000 WHERE id = 61`,
  `UPDATE parted SET k = 77 WHERE id = 12; UPDATE parted SET k = 1 WHERE id = 12; UPDATE parted SET k = 77, v = 'there again' WHERE id = 12; DELETE FROM parted WHERE id = 13`,
  `TRUNCATE parted; INSERT INTO parted SELECT i, 1 + i % 4, 'new' FROM generate_series(1, 9) i; UPDATE parted SET k = 5 - k`,
];

const CASES: readonly Case[] = [
  {
    name: 'a row that moves between partitions of what is one plain table on the target',
    rename: { parted: 'parted' },
    source: PARTS,
    target: 'CREATE TABLE parted (id int, k int, v text, big text, PRIMARY KEY (id, k))',
    changes: MOVES,
  },
  {
    name: 'a row that moves between partitions, under a key without the column they are parted by',
    rename: { parted: 'narrow' },
    source: PARTS,
    target: 'CREATE TABLE narrow (k int, id int PRIMARY KEY, big text, v text)',
    changes: MOVES,
  },
  {
    name: 'a row that moves between partitions of what is parted otherwise on the target',
    rename: { parted: 'otherwise' },
    source: PARTS,
    target: `CREATE TABLE otherwise (id int PRIMARY KEY, k int, v text, big text) PARTITION BY RANGE (id);
      CREATE TABLE otherwise_1 PARTITION OF otherwise FOR VALUES FROM (MINVALUE) TO (15); CREATE TABLE otherwise_2 PARTITION OF otherwise FOR VALUES FROM (15) TO (MAXVALUE)`,
    changes: MOVES,
  },
  {
    name: 'two tables with keys of their own in one',
    rename: { east: 'merged', west: 'merged' },
    source: `CREATE TABLE east (id int PRIMARY KEY, v text, u int UNIQUE); CREATE TABLE west (v text, u int UNIQUE, id int PRIMARY KEY);
      INSERT INTO east SELECT i, 'e' || i, i FROM generate_series(1, 40) i; INSERT INTO west SELECT 'w' || i, i, i FROM generate_series(101, 140) i`,
    target: 'CREATE TABLE merged (id int PRIMARY KEY, v text, u int UNIQUE)',
    changes: [
      `UPDATE east SET v = v || '!' WHERE id < 10; UPDATE west SET v = v || '!' WHERE id < 110; DELETE FROM east WHERE id = 1; UPDATE east SET v = 'e' WHERE id = 2`,
      `DELETE FROM east WHERE id = 3; INSERT INTO west VALUES ('moved', 3, 3); UPDATE west SET v = 'and changed' WHERE id = 3`,
      `INSERT INTO west VALUES ('w', 51, 50); DELETE FROM west WHERE id = 50; INSERT INTO east VALUES (50, 'e', 50); UPDATE east SET v = 'e+' WHERE id = 50`,
      `UPDATE east SET id = id + 1000, u = u + 1000 WHERE id = 7; INSERT INTO west VALUES ('seven', 7, 7); UPDATE west SET id = 8000, u = 8000 WHERE id = 7; INSERT INTO east VALUES (7, 'back', 7)`,
      `TRUNCATE east, west; INSERT INTO west VALUES ('w', 1, 1); INSERT INTO east VALUES (2, 'e', 2)`,
      `DELETE FROM west; INSERT INTO east VALUES (1, 'e', 1)`,
    ],
  },
  {
    name: 'two tables without a key in one, with equal rows',
    rename: { loose_1: 'loose', loose_2: 'loose' },
    source: `CREATE TABLE loose_1 (a int, b text); CREATE TABLE loose_2 (b text, a int);
      INSERT INTO loose_1 SELECT i % 3, 'x' FROM generate_series(1, 9) i; INSERT INTO loose_2 SELECT 'x', i % 3 FROM generate_series(1, 9) i`,
    target: 'CREATE TABLE loose (a int, b text)',
    changes: [
      `DELETE FROM loose_1 WHERE a = 1; UPDATE loose_2 SET b = 'y' WHERE a = 1`,
      `UPDATE loose_1 SET a = 7 WHERE ctid = (SELECT min(ctid::text)::tid FROM loose_1); DELETE FROM loose_2 WHERE ctid = (SELECT min(ctid::text)::tid FROM loose_2)`,
    ],
  },
];

const WAYS = ['live', 'late', 'once'] as const;
const within = (schema: string) => `SET search_path = ${schema}`;
const RENAME = Object.fromEntries(
  WAYS.flatMap((way) =>
    CASES.flatMap(({ rename }, at) =>
      Object.entries(rename).map(([from, to]) => [`${way}_${at}.${from}`, `${way}_${at}.${to}`]),
    ),
  ),
);
const options: RunOptions = { types: ['full', 'incremental'], rename: RENAME };

describe.each(
  firstOf(2, [
    [12, 18],
    [18, 15],
    [15, 12],
  ] as const),
)('several tables in one, from %i to %i', (from, to) => {
  let pair: DatabasePair;
  let differing: readonly string[] = [];
  let replays = 0;
  let warnings: readonly string[] = [];

  beforeAll(async () => {
    pair = await freshPair(from, to);
    const { source, target } = pair;
    const each = async (work: (one: Case, way: (typeof WAYS)[number], schema: string) => Promise<void>) => {
      for (const way of WAYS) for (const [at, one] of CASES.entries()) await work(one, way, `${way}_${at}`);
    };
    await each(async (one, _, schema) => {
      await source.session.query(`CREATE SCHEMA ${schema}; ${within(schema)}; ${one.source}`);
      await target.session.query(`CREATE SCHEMA ${schema}; ${within(schema)}; ${one.target}`);
    });
    const write = (wanted: (typeof WAYS)[number]) =>
      each(async ({ changes }, way, schema) => {
        if (way !== wanted) return;
        for (const transaction of way === 'once' ? [changes.join('; ')] : changes)
          await source.session.query(`${within(schema)}; BEGIN; ${transaction}; COMMIT`);
      });
    const following = await follow(source, target, options);
    await write('live');
    await write('once');
    await following.catchUp();
    await write('late');
    const events: MigrationEvent[] = [];
    ({ warnings } = await migrate(source, target, { ...options, events }));
    replays = [...following.events, ...events].filter(({ message }) =>
      message.includes('did not apply'),
    ).length;
    ({ differing } = await compare(source, target, [], { rename: RENAME }).then(
      ({ differing: all, verdicts }) => {
        expect(verdicts).toHaveLength(CASES.length * WAYS.length);
        return { differing: all.map(({ table, reason }) => `${table}: ${reason}`) };
      },
    ));
  });
  afterAll(() => pair?.[Symbol.asyncDispose]());

  it.each(CASES.map(({ name }, at) => ({ name, at })))('$name', ({ at }) => {
    expect(differing.filter((line) => WAYS.some((way) => line.includes(`${way}_${at}.`)))).toEqual([]);
  });

  it('warns of nothing, and applies all of it as sets', () => {
    expect(warnings).toEqual([]);
    expect(replays).toBe(0);
  });
});

describe('two tables in one', () => {
  const SOURCE = `CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text);
    INSERT INTO a VALUES (1, 'a'), (2, 'a'); INSERT INTO b VALUES (11, 'b')`;
  const TARGET = 'CREATE TABLE t (id int PRIMARY KEY, v text)';
  const rename = { a: 'public.t', b: 'public.t' };
  const types = ['full', 'incremental'] as const;
  const failure = (run: Promise<unknown>): Promise<AppError> =>
    run.then(
      () => expect.unreachable('the migration should have failed'),
      (thrown: AppError) => thrown,
    );
  const rows = async ({ target }: DatabasePair) =>
    (await target.session.query('SELECT id, v FROM t ORDER BY id')).map(({ id, v }) => `${id}${v}`);

  it.each([
    ['an insert', `INSERT INTO b VALUES (1, 'b')`],
    ['a key that changes', `UPDATE b SET id = 1 WHERE id = 11`],
    ['keys that meet only for a moment', `INSERT INTO b VALUES (1, 'b'); DELETE FROM a WHERE id = 1`],
    [
      'keys that meet and part again',
      `INSERT INTO b VALUES (2, 'b'); UPDATE b SET v = 'c' WHERE id = 2; UPDATE a SET v = 'z' WHERE id = 2`,
    ],
  ])('end the migration with table and key where rows of two meet: %s', async (_, change) => {
    await using pair = await freshPair(17, 17, SOURCE);
    await pair.target.session.query(TARGET);
    await migrate(pair.source, pair.target, { types, rename });
    await pair.source.session.query(`UPDATE a SET v = 'a2' WHERE id = 2`);
    // In the same transaction, so that changes of the one table are held already when the other's come.
    await pair.source.session.query(`BEGIN; UPDATE a SET v = 'a3' WHERE id = 2; ${change}; COMMIT`);
    const error = await failure(migrate(pair.source, pair.target, { types, rename, strict: true }));
    expect(error).toMatchObject({ code: 'APPLY_FAILED', facts: { table: 'public.t', sqlstate: '23505' } });
    expect(error.message).toMatch(/\(id\) = \((1|2|11)\)/);
    // What was committed before it is there, and nothing of it.
    expect(await rows(pair)).toEqual(['1a', '2a2', '11b']);
  });

  it('are applied in order where a unique value beside the key passes from one to the other', async () => {
    const keys = 'id int PRIMARY KEY, u int UNIQUE';
    const source = `CREATE TABLE a (${keys}); CREATE TABLE b (${keys}); INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (2, 2)`;
    await using pair = await freshPair(17, 17, source);
    await pair.target.session.query(`CREATE TABLE t (${keys})`);
    await migrate(pair.source, pair.target, { types, rename });
    await pair.source.session.query(
      `BEGIN; INSERT INTO a VALUES (3, 3); UPDATE b SET u = NULL WHERE id = 2; INSERT INTO a VALUES (4, 2); COMMIT`,
    );
    const events: MigrationEvent[] = [];
    await migrate(pair.source, pair.target, { types, rename, events });
    expect(events.map(({ message }) => message)).toContainEqual(expect.stringContaining('applied in order'));
    expect((await compare(pair.source, pair.target, [], { rename })).differing).toEqual([]);
  });

  describe('copied at different moments', () => {
    /** Large enough to be copied in a transaction of its own. */
    const fill = (table: string, first: number) =>
      `INSERT INTO ${table} SELECT i, repeat(md5(i::text), 30) FROM generate_series(${first}, ${first + 19_000}) i`;
    const MOVE = `BEGIN; DELETE FROM a WHERE id = 2; INSERT INTO b VALUES (2, 'moved'); COMMIT; INSERT INTO b VALUES (3, 'new')`;

    it.each([
      { wanted: ['full', 'incremental'], commits: 1, change: MOVE },
      { wanted: ['full'], commits: 1, change: MOVE },
      // What is taken back of one takes the other's rows with it.
      { wanted: ['full'], commits: 2, change: `INSERT INTO b VALUES (3, 'new')` },
    ] as const)('are brought to one: $wanted, after $commits', async ({ wanted, commits, change }) => {
      const sql = `${SOURCE}; ${fill('a', 100)}; ${fill('b', 50_000)}; CREATE TABLE z (id int PRIMARY KEY)`;
      await using pair = await freshPair(17, 17, sql);
      const { source, target } = pair;
      await target.session.query(`${TARGET}; CREATE TABLE z (id int PRIMARY KEY)`);
      const how: RunOptions = { types: wanted, rename, jobs: 1 };
      // The snapshot is lost behind the first of the two, or behind both.
      await stopAfter(pair, commits, how);
      expect((await doneChunks(target)).size).toBe(commits);
      await source.session.query(change);
      const { warnings } = await migrate(source, target, how);
      expect(warnings).toContainEqual(expect.stringMatching(/copied again: public\.a/));
      expect((await compare(source, target, [], { rename })).differing).toEqual([]);
    });
  });

  it.each(['retry', 'recopy'] as const)('stand still together, and go on together: %s', async (choice) => {
    await using pair = await freshPair(17, 17, SOURCE);
    const { source, target } = pair;
    await target.session.query(TARGET);
    const following = await follow(source, target, { types, rename });
    await target.session.query('DELETE FROM t WHERE id = 2');
    await source.session.query(`UPDATE a SET v = 'x' WHERE id = 2`);
    const stopped = () => stoppedTables(target.session);
    await expect.poll(stopped, { timeout: 20_000 }).toHaveLength(2);
    // This passes from the one that has stopped to the other: alone it could not go in.
    await source.session.query(`DELETE FROM a WHERE id = 1; INSERT INTO b VALUES (1, 'moved')`);
    if (choice === 'retry') await target.session.query(`INSERT INTO t VALUES (2, 'back')`);
    const patterns = choice === 'retry' ? ['a', 'b'] : ['b'];
    await chooseForTables(target.session, patterns, choice);
    await expect.poll(stopped, { timeout: 20_000 }).toEqual([]);
    await source.session.query(`UPDATE a SET v = 'end'; UPDATE b SET v = 'end' WHERE id = 11`);
    await following.catchUp();
    expect((await compare(source, target, [], { rename })).differing).toEqual([]);
  });

  it('are not emptied by a TRUNCATE of one of them', async () => {
    await using pair = await freshPair(17, 17, SOURCE);
    await pair.target.session.query(TARGET);
    await migrate(pair.source, pair.target, { types, rename });
    await pair.source.session.query(`INSERT INTO b VALUES (12, 'b')`);
    await pair.source.session.query('TRUNCATE b');
    const error = await failure(migrate(pair.source, pair.target, { types, rename, strict: true }));
    expect(error).toMatchObject({
      code: 'TRUNCATE_SHARED',
      facts: { table: 'public.b', target: 'public.t' },
    });
    expect(await rows(pair)).toEqual(['1a', '2a', '11b', '12b']);
  });

  it('cannot be copied where two rows have one key, and are named as going together', async () => {
    await using pair = await freshPair(17, 17, `${SOURCE}; INSERT INTO b VALUES (1, 'b')`);
    await pair.target.session.query(TARGET);
    const error = await failure(migrate(pair.source, pair.target, { types, rename }));
    expect(error).toMatchObject({ code: 'ROW_REFUSED' });
  });
});

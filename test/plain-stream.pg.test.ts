/** Partitions of tables that are plain ones on the target, while changes are followed: they move rows, come, go, and are emptied. */
import { describe, expect, it } from 'vitest';
import { EXIT } from '../src/base/errors/exit.ts';
import { armFailpoint } from '../src/base/runtime/failpoint.ts';
import { SQLSTATE, sqlstateOf } from '../src/engine/pg/pg-error.ts';
import { chooseForTables, stoppedTables } from '../src/service/task/stopped.ts';
import { doneChunks, stopAfter } from './copy-faults.ts';
import { freshPair, type DatabasePair, type TestDatabase } from './database.ts';
import { follow, pause, type Following } from './follow.ts';
import type { Major } from './global-setup.ts';
import { comparePlain, migrate, type RunOptions } from './migration.ts';
import { cliHome } from './spawn-cli.ts';
import { firstOf } from './matrix.ts';

const PLAIN: RunOptions = { partitions: 'plain' };

const BIG = `(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 100) g)`;
const TABLES = `
  CREATE TABLE parted (id int, k int, v text, big text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
  CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2, 3) PARTITION BY LIST (k);
  CREATE TABLE parted_21 (big text, gone int, v text, k int NOT NULL, id int NOT NULL); ALTER TABLE parted_21 DROP gone;
  ALTER TABLE parted_2 ATTACH PARTITION parted_21 FOR VALUES IN (2);
  CREATE TABLE parted_22 PARTITION OF parted_2 FOR VALUES IN (3);
  CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
  INSERT INTO parted SELECT i, 1 + i % 5, 'v' || i, ${BIG} FROM generate_series(1, 50) i;
  CREATE TABLE loose (a int, b text) PARTITION BY RANGE (a);
  CREATE TABLE loose_0 PARTITION OF loose FOR VALUES FROM (0) TO (2); CREATE TABLE loose_1 PARTITION OF loose DEFAULT;
  INSERT INTO loose SELECT i % 4, 'x' FROM generate_series(1, 40) i;
  CREATE TABLE own_keys (id int NOT NULL, k int NOT NULL, v text) PARTITION BY LIST (k);
  CREATE TABLE own_1 PARTITION OF own_keys (PRIMARY KEY (id)) FOR VALUES IN (1); CREATE TABLE own_2 PARTITION OF own_keys (PRIMARY KEY (id)) DEFAULT;
  INSERT INTO own_keys SELECT i, 1 + k, 'o' FROM generate_series(1, 20) i, generate_series(0, 1) k;
  CREATE TABLE refers (id int, k int, FOREIGN KEY (id, k) REFERENCES parted ON UPDATE CASCADE ON DELETE CASCADE)`;

const MOVES = [
  `UPDATE parted SET k = 2 WHERE id = 5; INSERT INTO refers SELECT id, k FROM parted WHERE id < 4`,
  `UPDATE parted SET v = 'before' WHERE id < 20; UPDATE parted SET k = 3, v = 'moved' WHERE k = 2 AND id BETWEEN 5 AND 20; UPDATE parted SET v = v || '+' WHERE id < 20`,
  `UPDATE parted SET k = 1 + k % 4 WHERE id BETWEEN 20 AND 40; UPDATE parted SET k = 1 + k % 4 WHERE id BETWEEN 20 AND 40`,
  `DELETE FROM parted WHERE id = 11; INSERT INTO parted VALUES (11, 3, 'again', NULL), (61, 99, 'rest', 'b'); UPDATE parted SET id = id + 1000 WHERE id = 61`,
  `UPDATE loose SET a = (a + 1) % 4 WHERE a IN (1, 3); DELETE FROM loose WHERE ctid = (SELECT min(ctid::text)::tid FROM ONLY loose_0) AND tableoid = 'loose_0'::regclass; UPDATE loose SET b = 'y' WHERE a = 2`,
  `UPDATE own_keys SET v = 'first' WHERE k = 1 AND id < 10; DELETE FROM own_keys WHERE k = 2 AND id > 15; UPDATE own_keys SET k = 1, id = id + 100 WHERE k = 2 AND id < 3`,
  `TRUNCATE loose; INSERT INTO loose SELECT i % 4, 'new' FROM generate_series(1, 9) i`,
];

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 800; attempt++) {
    if (await what()) return;
    await pause(50);
  }
  throw new Error('it did not come to that');
}

/** Null where there is no such table, also since a moment ago. */
async function count({ session }: TestDatabase, table: string): Promise<string | null> {
  return session.query(`SELECT count(*) AS n FROM ${table}`).then(
    ([row]) => row?.n ?? null,
    (thrown: unknown) => {
      if (sqlstateOf(thrown) === SQLSTATE.undefinedTable) return null;
      throw thrown;
    },
  );
}

async function expectSame({ source, target }: DatabasePair): Promise<void> {
  expect((await comparePlain(source, target)).differing).toEqual([]);
  const partitions = await target.session.query(
    `SELECT relname FROM pg_class WHERE relkind = 'p' OR relispartition OR (relkind = 'r' AND relname ~ '^(parted|loose|own|log)_')`,
  );
  expect(partitions.filter(({ relname }) => relname !== 'own_keys')).toEqual([]);
}

const messages = ({ events }: Pick<Following, 'events'>) => events.map(({ message }) => message);

describe.each<[Major, Major]>(
  firstOf(1, [
    [17, 18],
    [12, 15],
  ]),
)('partitions of %i in plain tables of %i', (from, to) => {
  it('move their rows between one another, with and without keys', async () => {
    await using pair = await freshPair(from, to, TABLES);
    const { source, target } = pair;
    const following = await follow(source, target, PLAIN);
    for (const one of MOVES) await source.session.query(`BEGIN; ${one}; COMMIT`);
    await following.catchUp();
    await expectSame(pair);
    for (const one of MOVES.slice(0, 3)) await source.session.query(`BEGIN; ${one}; COMMIT`);
    await source.session.query('TRUNCATE parted CASCADE; INSERT INTO parted VALUES (1, 2), (2, 3), (3, 9)');
    await migrate(source, target, PLAIN);
    await expectSame(pair);
    // Its rows are told apart by all they hold, since the key is that of each partition alone.
    expect(await count(target, 'own_keys')).toBe(await count(source, 'own_keys'));
  });

  const LOG = `CREATE TABLE log (id serial, at int NOT NULL, v text DEFAULT 'none', PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE INDEX log_v ON log (v);
    CREATE TABLE log_0 PARTITION OF log FOR VALUES FROM (0) TO (10); CREATE TABLE log_9 PARTITION OF log DEFAULT;
    INSERT INTO log (at) SELECT i % 10 FROM generate_series(1, 100) i`;
  const MORE = `CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (10) TO (20); CREATE INDEX log_1_own ON log_1 (at DESC);
    CREATE TABLE log_2 (gone text, v text, at int NOT NULL, id int NOT NULL) PARTITION BY LIST (at);
    ALTER TABLE log_2 DROP gone; ALTER TABLE log ATTACH PARTITION log_2 FOR VALUES FROM (20) TO (30);
    CREATE TABLE log_2_even PARTITION OF log_2 FOR VALUES IN (20, 22, 24, 26, 28); CREATE TABLE log_2_odd PARTITION OF log_2 DEFAULT;
    INSERT INTO log (at, v) SELECT i % 30, i::text FROM generate_series(1, 300) i`;

  it('come while changes are followed, and join the others, which are not copied again', async () => {
    await using pair = await freshPair(from, to, LOG);
    const { source, target } = pair;
    const following = await follow(source, target, PLAIN);
    await source.session.query(MORE);
    // Rows move into the new ones and out of them all the while.
    for (let n = 0; n < 60; n++) {
      await source.session.query(`UPDATE log SET at = (at + 7) % 30, v = 'n${n}' WHERE id % 6 = ${n % 6}`);
      await pause(50);
    }
    await following.catchUp();
    await expectSame(pair);
    expect(messages(following).filter((line) => /copied again/.test(line))).toEqual([]);
    expect(messages(following)).toContainEqual(
      'partition public.log_1 of the source stands in public.log on the target now',
    );
    await source.session.query(
      `UPDATE log SET at = (at + 11) % 30 WHERE id % 2 = 0; TRUNCATE log; ${'INSERT INTO log (at) VALUES (3), (13), (24), (25), (99)'}`,
    );
    await migrate(source, target, PLAIN);
    await expectSame(pair);
  });

  it('come in when the task goes on, also where it was killed as they joined', async () => {
    await using pair = await freshPair(from, to, LOG);
    const { source, target } = pair;
    await migrate(source, target, PLAIN);
    await source.session.query(MORE);
    for (const place of ['join.before-commit', 'join.after-commit:2']) {
      const failpoints = armFailpoint(place, () => {
        throw new Error('killed');
      });
      await expect(migrate(source, target, { ...PLAIN, failpoints })).rejects.toThrow(/killed/);
      await source.session.query(`UPDATE log SET v = 'changed', at = (at + 7) % 30 WHERE id % 3 = 0`);
    }
    await migrate(source, target, PLAIN);
    await expectSame(pair);
  });

  it('are tables of their own before, and are no partitions any more after: the one joins, the other stays and is said', async () => {
    await using pair = await freshPair(
      from,
      to,
      `${LOG}; CREATE TABLE log_5 (LIKE log INCLUDING ALL); INSERT INTO log_5 (at) SELECT 50 FROM generate_series(1, 20)`,
    );
    const { source, target } = pair;
    const following = await follow(source, target, PLAIN);
    // The rows of the default partition go there first, as when one is split.
    await source.session.query(`INSERT INTO log (at) VALUES (51), (52)`);
    await source.session.query(
      `BEGIN; WITH gone AS (DELETE FROM log WHERE at BETWEEN 50 AND 59 RETURNING id, at, v) INSERT INTO log_5 SELECT * FROM gone;
       ALTER TABLE log ATTACH PARTITION log_5 FOR VALUES FROM (50) TO (60); COMMIT`,
    );
    await source.session.query(`UPDATE log SET v = 'in' WHERE at >= 50; INSERT INTO log (at) VALUES (55)`);
    await until(async () => (await count(target, 'log_5')) === null);
    await source.session.query(`UPDATE log SET at = at - 45 WHERE at IN (51, 55)`);
    await following.catchUp();
    await expectSame(pair);
    await source.session.query(`ALTER TABLE log DETACH PARTITION log_5; INSERT INTO log_5 (at) VALUES (57)`);
    const again = await follow(source, target, PLAIN);
    await expect
      .poll(() => messages(again).join('\n'), { timeout: 20_000 })
      .toMatch(
        /public\.log_5 is no partition of public\.log any more on the source; on the target, where that is a plain table, its rows stay in it/,
      );
    await again.catchUp();
    const { n } = await source.session.one(
      'SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM log_5) AS n',
    );
    expect(await count(target, 'log')).toBe(n);
    expect(await count(target, 'log_5')).toBe(null);
  });

  it('stop alone where the others have no place for them, and are copied together if that is wanted', async () => {
    await using pair = await freshPair(from, to, LOG);
    const { source, target } = pair;
    const following = await follow(source, target, PLAIN);
    await target.session.query(`INSERT INTO log VALUES (1000, 15, 'in the way'), (2000, 16, 'too')`);
    await source.session.query(
      `CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (10) TO (20); INSERT INTO log VALUES (1000, 15), (1001, 11)`,
    );
    const stopped = async () =>
      (await stoppedTables(target.session)).map(({ table, code, choice }) => [table.name, code, choice]);
    const refused = ['log_1', 'PARTITION_REFUSED', null];
    await expect.poll(stopped, { timeout: 20_000 }).toEqual([refused]);
    await source.session.query(
      `UPDATE log SET at = 12 WHERE id = 5; INSERT INTO log VALUES (1002, 3), (2000, 16)`,
    );
    await until(async () => (await count(target, 'log WHERE id = 1002')) === '1');
    await target.session.query('DELETE FROM log WHERE id = 1000');
    await chooseForTables(target.session, ['log_1'], 'retry');
    // Its next row is in the way, and so it is refused again.
    await until(async () => (await count(target, 'log_1 WHERE id = 2000')) === '1');
    await expect.poll(stopped, { timeout: 20_000 }).toEqual([refused]);
    await expect(following.catchUp()).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
    const again = await follow(source, target, PLAIN);
    await expect.poll(stopped, { timeout: 20_000 }).toEqual([refused]);
    await chooseForTables(target.session, ['log_1'], 'recopy');
    await expect.poll(stopped, { timeout: 20_000 }).toEqual([]);
    await again.catchUp();
    await expectSame(pair);
  });

  it('are emptied one by one, where it can be told which rows are whose', async () => {
    await using pair = await freshPair(from, to, `${LOG}; ${MORE}`);
    const { source, target } = pair;
    const following = await follow(source, target, PLAIN);
    await source.session.query(
      `UPDATE log SET at = 8 WHERE id IN (SELECT id FROM log WHERE at = 14 LIMIT 3)`,
    );
    await source.session.query(
      `BEGIN; INSERT INTO log (at) VALUES (1), (12), (20); UPDATE log SET at = 15 WHERE at = 9; TRUNCATE log_0, log_2_even; INSERT INTO log (at) VALUES (2), (22), (30); COMMIT`,
    );
    await following.catchUp();
    await expectSame(pair);
    expect(await count(target, 'log')).not.toBe('0');
    // One that holds other rows by now than it did then cannot be told any more.
    await source.session.query(
      `TRUNCATE log_1; ALTER TABLE log DETACH PARTITION log_1; ALTER TABLE log ATTACH PARTITION log_1 FOR VALUES FROM (100) TO (110)`,
    );
    await expect(migrate(source, target, { ...PLAIN, strict: true })).rejects.toMatchObject({
      code: 'TRUNCATE_SHARED',
    });
  });

  it('are not emptied by a bound that means another column on the target', async () => {
    await using pair = await freshPair(from, to, LOG);
    const { source, target } = pair;
    const rename = { 'public.log.id': 'at', 'public.log.at': 'id' };
    const how: RunOptions = { ...PLAIN, strict: true, rename };
    await migrate(source, target, how);
    const before = await count(target, 'log');
    await source.session.query('TRUNCATE log_0');
    await expect(migrate(source, target, how)).rejects.toMatchObject({ code: 'TRUNCATE_SHARED' });
    expect(await count(target, 'log')).toBe(before);
  });

  it('are given the columns of their table, and only the rows of its filter', async () => {
    await using pair = await freshPair(from, to, LOG);
    const { source, target } = pair;
    const rules = [{ tables: 'log', filter: 'at < 25' }];
    const how: RunOptions = { ...PLAIN, ddl: 'apply', rules };
    const following = await follow(source, target, how);
    await source.session.query(
      `ALTER TABLE log ADD more int DEFAULT 5; UPDATE log SET more = id WHERE id < 20; INSERT INTO log (at) VALUES (40), (14)`,
    );
    await source.session.query('ALTER TABLE log RENAME v TO w; ALTER TABLE log ALTER more TYPE bigint');
    await source.session.query(`UPDATE log SET w = 'x', at = 45 WHERE id IN (3, 4)`);
    await source.session.query(
      `BEGIN; UPDATE log SET at = 9 WHERE at BETWEEN 10 AND 30; ${MORE.replaceAll(/\bv\b/g, 'w').replace('w text', 'w text, more bigint')}; COMMIT`,
    );
    await source.session.query('UPDATE log SET at = (at + 3) % 30 WHERE id % 3 = 0');
    await following.catchUp();
    expect((await comparePlain(source, target, rules)).differing).toEqual([]);
    await source.session.query('UPDATE log SET at = (at + 5) % 30');
    await migrate(source, target, how);
    expect((await comparePlain(source, target, rules)).differing).toEqual([]);
  });

  it('are not emptied by a TRUNCATE of one of them', async () => {
    await using pair = await freshPair(from, to, LOG);
    const { source, target } = pair;
    const following = await follow(source, target, PLAIN);
    await source.session.query(`INSERT INTO log (at) VALUES (20), (21); TRUNCATE log_9`);
    const stopped = () => stoppedTables(target.session);
    await expect.poll(stopped, { timeout: 20_000 }).toHaveLength(2);
    expect((await stopped()).map(({ code }) => code)).toEqual(['TRUNCATE_SHARED', 'TRUNCATE_SHARED']);
    expect(await count(target, 'log')).toBe('100');
    await source.session.query(`INSERT INTO log (at) VALUES (22), (3)`);
    await chooseForTables(target.session, ['log_9'], 'recopy');
    await expect.poll(stopped, { timeout: 20_000 }).toEqual([]);
    await following.catchUp();
    await expectSame(pair);
  });
});

describe('a copy of several partitions into one table that is killed', () => {
  /** Large enough to be copied in transactions of their own, and by FREEZE if each had a table to itself. */
  const sql = `CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
    ${[0, 1, 2].map((n) => `CREATE TABLE p_${n} PARTITION OF p FOR VALUES FROM (${n * 20_000}) TO (${(n + 1) * 20_000})`).join('; ')};
    INSERT INTO p SELECT i, repeat(md5(i::text), 30) FROM generate_series(0, 59999) i`;

  it.each(
    firstOf(2, [
      { types: ['schema', 'full', 'incremental'], commits: 2 },
      { types: ['schema', 'full'], commits: 1 },
      { types: ['schema', 'full', 'incremental'], commits: 1 },
      { types: ['schema', 'full'], commits: 2 },
    ] as const),
  )('goes on, and ends with all rows once: $types, after $commits', async ({ types, commits }) => {
    await using pair = await freshPair(15, 17, sql);
    const { source, target } = pair;
    const how: RunOptions = { ...PLAIN, types, jobs: 1 };
    await stopAfter(pair, commits, how);
    expect((await doneChunks(target)).size).toBe(commits);
    await source.session.query(
      `BEGIN; DELETE FROM p WHERE id = 25000; UPDATE p SET v = 'new' WHERE id IN (1, 30000, 50000); COMMIT`,
    );
    await migrate(source, target, how);
    expect((await comparePlain(source, target)).differing).toEqual([]);
  });

  it.each(
    firstOf(3, [
      'copy.before-unit-commit:2',
      'join.before-commit:1',
      'join.after-commit:1',
      'copy.after-unit-commit:1',
    ]),
  )('kill -9 at %s costs nothing', async (failpoint) => {
    await using pair = await freshPair(15, 17, sql);
    const { source, target } = pair;
    using home = cliHome();
    const ends = ['--source', source.uri, '--target', target.uri, '--partitions', 'plain'];
    const args = ['migrate', ...ends, '--until', 'caught-up'];
    if (failpoint.startsWith('join.')) expect((await home.run(args)).code).toBe(EXIT.ok);
    await source.session.query(
      `CREATE TABLE p_3 PARTITION OF p DEFAULT; UPDATE p SET id = id + 60000, v = 'moved' WHERE id % 1000 = 7`,
    );
    const killed = await home.run(args, { env: { OPENDTS_FAILPOINT: failpoint } });
    expect(killed.signal).toBe('SIGKILL');
    await source.session.query(
      `UPDATE p SET id = id - 60000, v = 'back' WHERE id % 2000 = 7; DELETE FROM p WHERE id % 1000 = 8`,
    );
    expect((await home.run(args)).code).toBe(EXIT.ok);
    const verified = await home.run(['verify', ...ends]);
    expect(verified.stdout).toMatch(/identical: 1 table, 59,940 rows/);
    expect(await count(target, 'p_3')).toBe(null);
  });

  it('empties the table for none of them', async () => {
    await using pair = await freshPair(17, 17, sql);
    await migrate(pair.source, pair.target, { ...PLAIN, types: ['schema', 'full'], jobs: 3 });
    expect((await comparePlain(pair.source, pair.target)).differing).toEqual([]);
  });
});

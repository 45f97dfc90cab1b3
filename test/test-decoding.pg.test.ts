/** Migrations whose changes test_decoding decodes: for an account that owns nothing on the source, and from a slot of the user's. */
import { afterAll, describe, expect, it } from 'vitest';
import type { MigrationEvent } from '../src/contract/progress.ts';
import type { ConnInfo } from '../src/engine/pg/conninfo/conninfo.ts';
import { readTables } from '../src/engine/pg/catalog/tables/tables.ts';
import { runChecks } from '../src/engine/precheck/run-checks.ts';
import { publicationRight } from '../src/engine/precheck/checks/publication-right.ts';
import type { Finding } from '../src/engine/precheck/check.ts';
import { OPERATIONS } from '../src/contract/task-spec.ts';
import { tableWishes } from '../src/engine/selection/table-wishes.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import { freshDatabase, freshPair, type TestDatabase } from './database.ts';
import { follow, pause } from './follow.ts';
import type { Major } from './global-setup.ts';
import { compare, migrate, SAME_NAMES, type RunOptions } from './migration.ts';
import { cliHome } from './spawn-cli.ts';
import { firstOf } from './matrix.ts';

const home = cliHome();
afterAll(() => home[Symbol.dispose]());

const TABLES = `
  CREATE SCHEMA "Shop 1";
  CREATE TYPE "Shop 1".mood AS ENUM ('so so', 'it''s fine');
  CREATE TABLE "Shop 1".keyed (id serial PRIMARY KEY, v text, n numeric DEFAULT 1.50, "Mood" "Shop 1".mood, flag bool);
  INSERT INTO "Shop 1".keyed (v, flag) SELECT repeat(md5(i::text), 2), i % 2 = 0 FROM generate_series(1, 20000) i;
  CREATE TABLE "Shop 1".log (at int, what text);
  ALTER TABLE "Shop 1".log REPLICA IDENTITY FULL;
  INSERT INTO "Shop 1".log SELECT i % 50, repeat('x', 200) FROM generate_series(1, 2000) i;
  CREATE TABLE "Shop 1".big (id int PRIMARY KEY, v text);
  ALTER TABLE "Shop 1".big ALTER v SET STORAGE EXTERNAL;
  INSERT INTO "Shop 1".big SELECT i, repeat(i::text, 1000) FROM generate_series(1, 300) i;
  CREATE TABLE "Shop 1".part (id int, k int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
  CREATE TABLE "Shop 1".part_0 PARTITION OF "Shop 1".part FOR VALUES IN (0);
  CREATE TABLE "Shop 1".part_1 PARTITION OF "Shop 1".part FOR VALUES IN (1);
  INSERT INTO "Shop 1".part SELECT i, i % 2 FROM generate_series(1, 200) i;
  CREATE TABLE noise (id int)`;

interface Account extends AsyncDisposable {
  readonly info: ConnInfo;
  readonly uri: string;
}

/** May read and replicate, and owns nothing. */
/** `target`: where its rights are migrated to, perhaps on the same server. */
async function account(db: TestDatabase, target = db): Promise<Account> {
  const role = `reader_${db.name}`;
  await db.session.query(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'x'`);
  const grants = await db.session.query(
    `SELECT format('GRANT USAGE ON SCHEMA %1$I TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA %1$I TO ${role}; GRANT SELECT ON ALL SEQUENCES IN SCHEMA %1$I TO ${role}', nspname) AS sql
       FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'`,
  );
  for (const { sql } of grants) await db.session.query(sql ?? '');
  const url = new URL(db.uri);
  url.username = role;
  url.password = 'x';
  return {
    info: parseConninfo(url.href, 'source'),
    uri: url.href,
    [Symbol.asyncDispose]: async () => {
      if (target.major === db.major) await target.session.query(`DROP OWNED BY ${role}`);
      await db.session.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    },
  };
}

function transaction(n: number): string {
  const id = 1 + Math.floor(Math.random() * 20_000);
  const shop = '"Shop 1"';
  const work = [
    `INSERT INTO ${shop}.log VALUES (${n}, 'it''s'), (${n}, 'it''s'), (NULL, NULL)`,
    `UPDATE ${shop}.keyed SET n = n + 1, "Mood" = 'it''s fine' WHERE id BETWEEN ${id} AND ${id + 20}`,
    `INSERT INTO ${shop}.keyed (v) VALUES (E'new\\n''\\\\')`,
    `DELETE FROM ${shop}.keyed WHERE id = ${id}`,
    `DELETE FROM ${shop}.log WHERE ctid = (SELECT ctid FROM ${shop}.log LIMIT 1)`,
    `UPDATE ${shop}.log SET at = at + 1 WHERE ctid = (SELECT ctid FROM ${shop}.log WHERE at = ${n % 50} LIMIT 1)`,
    `UPDATE ${shop}.part SET k = 1 - k WHERE id = ${1 + (n % 200)}`,
    `SAVEPOINT s; UPDATE ${shop}.big SET id = id + 1000 WHERE id = ${1 + (n % 300)}; RELEASE s`,
    `SAVEPOINT s; INSERT INTO ${shop}.log VALUES (${n}, 'lost'); ROLLBACK TO s`,
    `INSERT INTO public.noise VALUES (${n}); DELETE FROM public.noise`,
  ];
  return `BEGIN; ${work.filter(() => Math.random() < 0.4).join('; ')}; ${Math.random() < 0.1 ? 'ROLLBACK' : 'COMMIT'}`;
}

async function writer(db: TestDatabase): Promise<AsyncDisposable> {
  const session = await db.open({ role: 'writer' });
  let stopped = false;
  const running = (async () => {
    for (let n = 0; !stopped; n++) {
      await session.query(transaction(n));
      await pause(3);
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      await running;
      await session.end();
    },
  };
}

async function expectIdentical(
  source: TestDatabase,
  target: TestDatabase,
  without: string[] = [],
): Promise<void> {
  const { differing } = await compare(source, target);
  expect(differing.filter(({ table }) => !without.includes(table))).toEqual([]);
  const unbalanced = await target.session.query(
    'SELECT source_table FROM _opendts.account WHERE received <> applied + folded + filtered + invisible + repeated + dead',
  );
  expect(unbalanced).toEqual([]);
}

describe.each(firstOf(1, [18, 12] as const))('an account that owns nothing, on %i', (major: Major) => {
  it('migrates with kill -9 in the copy and in the stream, and ends identical', async () => {
    await using pair = await freshPair(major, 18, TABLES);
    const { source, target } = pair;
    await using reader = await account(source, target);
    const ends = ['--source', reader.uri, '--target', target.uri];
    const chosen = ['--table', 'Shop 1.*', '--json'];
    const checked = await home.run(['check', ...ends, ...chosen]);
    expect(checked.stdout).toContain(
      'changes are decoded by test_decoding: the account may not create a publication',
    );
    {
      await using _load = await writer(source);
      for (const [phase, delay] of [
        ['copy', 100],
        ['copy', 400],
        ['stream', 100],
        ['stream', 900],
        ['stream', 400],
      ] as const) {
        const slow = phase === 'copy' ? ['--max-rows', '15000'] : [];
        const running = home.start(['migrate', ...ends, ...chosen, ...slow]);
        while (!running.output().stderr.includes(`"phase":"${phase}"`) && running.child.exitCode === null)
          await pause(20);
        await pause(delay);
        running.child.kill('SIGKILL');
        expect((await running.finished).signal, running.output().stderr).toBe('SIGKILL');
      }
    }
    const finished = await home.run(['migrate', ...ends, ...chosen, '--until', 'caught-up']);
    expect(finished.code, finished.stderr).toBe(0);
    await expectIdentical(source, target, ['public.noise']);
    const [noise] = await target.session.query(
      `SELECT received, filtered, applied FROM _opendts.account WHERE source_table = 'public.noise'`,
    );
    expect(noise?.received).toBe(noise?.filtered);
    expect(Number(noise?.received)).toBeGreaterThan(0);
    const inspected = await home.run(['inspect', reader.uri]);
    expect(inspected.stdout).toMatch(/slot dts_sync_\w+ \(test_decoding\): holds changes from /);
    expect((await home.run(['cleanup', ...ends, '--yes'])).code).toBe(0);
    expect(
      await source.session.query('SELECT FROM pg_replication_slots WHERE database = current_database()'),
    ).toEqual([]);
  });
});

const PLAIN = `
  CREATE TABLE item (id int PRIMARY KEY, v text, u int UNIQUE);
  INSERT INTO item SELECT i, 'v' || i, i FROM generate_series(1, 100) i;
  CREATE TABLE log (a int, b text); ALTER TABLE log REPLICA IDENTITY FULL`;
const TEXTUAL: RunOptions = { decoder: 'test_decoding' };

describe('changes decoded by test_decoding', () => {
  it('that do not go in as sets are read again and applied in order', async () => {
    await using pair = await freshPair(17, 18, PLAIN);
    const { source, target } = pair;
    await migrate(source, target, TEXTUAL);
    await source.session.query(
      `BEGIN; UPDATE item SET u = -1 WHERE id = 1; UPDATE item SET u = 1 WHERE id = 2; UPDATE item SET u = 2 WHERE id = 1; COMMIT;
       INSERT INTO log VALUES (1, 'a'), (1, 'a'); TRUNCATE log; INSERT INTO log VALUES (2, NULL)`,
    );
    const events: MigrationEvent[] = [];
    await migrate(source, target, { ...TEXTUAL, events });
    expect(events.map(({ message }) => message).join('\n')).toContain('applied in order');
    await expectIdentical(source, target);
  });

  it('of a table that gets a column are understood, and stop for the target as with pgoutput', async () => {
    await using pair = await freshPair(18, 15, PLAIN);
    const { source, target } = pair;
    const running = await follow(source, target, TEXTUAL);
    await source.session.query(`INSERT INTO item VALUES (1001, 'before', 1001)`);
    while ((await target.session.query('SELECT FROM item WHERE id = 1001')).length === 0) await pause(20);
    await source.session.query('ALTER TABLE item ADD w text; ALTER TABLE log ADD w text');
    await source.session.query(
      `INSERT INTO item VALUES (1002, 'after', 1002, 'w'); UPDATE item SET w = 'x' WHERE id = 1; INSERT INTO log VALUES (1, 'b', 'c'); DELETE FROM log`,
    );
    await expect(running.catchUp()).rejects.toThrow('the target has no column "w"');
    await target.session.query('ALTER TABLE item ADD w text; ALTER TABLE log ADD w text');
    await migrate(source, target, TEXTUAL);
    await expectIdentical(source, target);
  });

  it('written before a column was added are understood afterwards', async () => {
    await using pair = await freshPair(15, 18, PLAIN);
    const { source, target } = pair;
    const options: RunOptions = { ...TEXTUAL, types: ['full', 'incremental'] };
    await target.session.query(`${PLAIN}; TRUNCATE item`);
    await migrate(source, target, options);
    await source.session.query(
      `INSERT INTO item VALUES (1001, 'before', 1001); UPDATE item SET v = 'x' WHERE id = 1; DELETE FROM item WHERE id = 2`,
    );
    for (const db of [source, target]) await db.session.query('ALTER TABLE item ADD w int');
    await source.session.query(
      `INSERT INTO item VALUES (1002, 'after', 1002, 7); UPDATE item SET id = 3000 WHERE id = 3`,
    );
    await migrate(source, target, options);
    await expectIdentical(source, target);
  });

  it('written under another replica identity stop their table; the others go on', async () => {
    await using pair = await freshPair(15, 18, PLAIN);
    const { source, target } = pair;
    await migrate(source, target, TEXTUAL);
    await source.session.query(
      `ALTER TABLE log REPLICA IDENTITY NOTHING; INSERT INTO log VALUES (1, 'a'); DELETE FROM log; ALTER TABLE log REPLICA IDENTITY FULL;
       INSERT INTO item VALUES (1001, 'later', 1001)`,
    );
    await expect(migrate(source, target, TEXTUAL)).rejects.toThrow(
      'public.log: Table public.log changed on the source while changes are followed: a delete does not say which row is gone',
    );
    await expectIdentical(source, target, ['public.log']);
  });

  it.each(['while it ran', 'while it did not run'])(
    'of tables that swap their names %s stop the one that is followed: none is taken for the other',
    async (when) => {
      await using pair = await freshPair(17, 18, `${PLAIN}; CREATE TABLE other (LIKE item INCLUDING ALL)`);
      const { source, target } = pair;
      const options: RunOptions = {
        ...TEXTUAL,
        types: ['full', 'incremental'],
        tables: ['public.item', 'public.log'],
      };
      await target.session.query(`${PLAIN}; TRUNCATE item`);
      const swap = async () => {
        await source.session.query(`INSERT INTO item VALUES (1001, 'ours', 1001)`);
        await source.session.query(
          `BEGIN; ALTER TABLE item RENAME TO between; ALTER TABLE other RENAME TO item; ALTER TABLE between RENAME TO other; COMMIT`,
        );
        await source.session.query(`INSERT INTO item VALUES (2001, 'theirs', 2001)`);
        await source.session.query(
          `INSERT INTO other VALUES (1002, 'ours', 1002); INSERT INTO log VALUES (1, 'x')`,
        );
      };
      const first = await follow(source, target, options);
      await source.session.query(`INSERT INTO item VALUES (1000, 'ours', 1000)`);
      while ((await target.session.query('SELECT FROM item WHERE id = 1000')).length === 0) await pause(20);
      if (when !== 'while it ran') await first.catchUp();
      await swap();
      const end = when === 'while it ran' ? first.catchUp() : migrate(source, target, options);
      await expect(end).rejects.toThrow(
        'public.item: Table public.item changed on the source while changes are followed: it is called public.other now',
      );
      const rows = await target.session.query('SELECT id FROM item WHERE id > 1000 ORDER BY id');
      expect(rows.map(({ id }) => id)).not.toContain('2001');
      expect(await target.session.query('SELECT FROM log')).toHaveLength(1);
    },
  );

  it('of a table that has stopped come once, also where the others stand further', async () => {
    await using pair = await freshPair(18, 18, `${PLAIN}; CREATE TABLE noise (a int)`);
    const { source, target } = pair;
    const options: RunOptions = { ...TEXTUAL, excludeTables: ['noise'] };
    await migrate(source, target, options);
    await target.session.query('ALTER TABLE item ADD CHECK (id <> 1005)');
    const running = await follow(source, target, options);
    const write = async (from: number) => {
      for (let n = from; n < from + 10; n++) {
        await source.session.query(
          `INSERT INTO item VALUES (${n}, 'x', ${n}); INSERT INTO log VALUES (${n}, 'x'), (${n}, 'x'); INSERT INTO noise VALUES (1)`,
        );
        await source.session.query(`UPDATE log SET b = 'y' WHERE a = ${n - 1}`);
      }
    };
    await write(1000);
    // Long enough for a position to be recorded at which no transaction ends.
    await source.session.query('CREATE VIEW later AS SELECT 1');
    await pause(5_000);
    await write(1010);
    await expect(running.catchUp()).rejects.toThrow('1 tables have stopped');
    await target.session.query('ALTER TABLE item DROP CONSTRAINT item_id_check');
    await write(1020);
    await migrate(source, target, options);
    await expectIdentical(source, target, ['public.noise']);
  });

  it('of a table that is made while they are followed come into the migration', async () => {
    await using pair = await freshPair(15, 18, PLAIN);
    const { source, target } = pair;
    const running = await follow(source, target, TEXTUAL);
    await source.session.query('CREATE TABLE fresh (id int PRIMARY KEY, v text)');
    await source.session.query(`INSERT INTO fresh VALUES (1, 'a')`);
    while (!running.events.some(({ message }) => message.includes('part of the migration from now on')))
      await pause(50);
    await source.session.query(`INSERT INTO fresh VALUES (2, 'b'); UPDATE fresh SET v = 'c' WHERE id = 1`);
    await running.catchUp();
    await expectIdentical(source, target);
  });

  it.each(firstOf(1, [12, 18] as const))(
    'come from a slot of the user on %i: from all it holds, an LSN, a time',
    async (major) => {
      await using pair = await freshPair(
        major,
        18,
        'CREATE TABLE item (id int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())',
      );
      const { source } = pair;
      const slot = `own_${source.name}`;
      await source.session.query(`SELECT pg_create_logical_replication_slot('${slot}', 'test_decoding')`);
      for (const id of [1, 2, 3, 4]) {
        await source.session.query(`INSERT INTO item VALUES (${id})`);
        await pause(5);
      }
      const { lsn } = await source.session.one(
        `SELECT lsn::text FROM pg_logical_slot_peek_changes('${slot}', NULL, NULL) WHERE data LIKE 'COMMIT%' OFFSET 1 LIMIT 1`,
      );
      const { time } = await source.session.one(
        `SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time FROM item WHERE id = 3`,
      );
      const begin = async (at: string[]) => {
        await using target = await freshDatabase(18);
        await target.session.query('CREATE TABLE item (id int PRIMARY KEY, at timestamptz)');
        const args = [
          '--source',
          source.uri,
          '--target',
          target.uri,
          '--types',
          'incremental',
          '--slot',
          slot,
          ...at,
        ];
        const dir = ['--state-dir', `${home.folder}/${target.name}`];
        const ran = await home.run(['migrate', ...args, ...dir, '--until', 'caught-up']);
        expect(ran.code, ran.stderr).toBe(0);
        const rows = await target.session.query('SELECT id FROM item ORDER BY id');
        return rows.map(({ id }) => id).join(' ');
      };
      // The slot moves on with each of them.
      const copy = async (at: string[]) => {
        await source.session.query(
          `SELECT pg_copy_logical_replication_slot('${slot}', 'keep_${source.name}')`,
        );
        const seen = await begin(at);
        await source.session.query(`SELECT pg_drop_replication_slot('${slot}')`);
        await source.session.query(
          `SELECT pg_copy_logical_replication_slot('keep_${source.name}', '${slot}')`,
        );
        await source.session.query(`SELECT pg_drop_replication_slot('keep_${source.name}')`);
        return seen;
      };
      expect(await copy([])).toBe('1 2 3 4');
      expect(await copy(['--start-lsn', lsn ?? ''])).toBe('3 4');
      expect(await copy(['--start-time', time ?? ''])).toBe('3 4');
    },
  );
});

describe('the choice of the decoder', () => {
  async function findings(
    source: TestDatabase,
    info: ConnInfo,
    decoder: RunOptions['decoder'] = 'auto',
  ): Promise<Finding[]> {
    await using session = await connect(info, { side: 'source', applicationName: 'test:check' });
    const tables = (await readTables(source.session)).filter(({ name }) => name !== 'noise');
    return await runChecks(
      {
        source: session,
        target: session,
        sourceInfo: info,
        targetInfo: info,
        types: new Set(['incremental']),
        tables,
        targetTables: [],
        mapping: SAME_NAMES,
        conflict: 'report',
        partitions: 'keep',
        wholeDatabase: true,
        jobs: 2,
        heartbeat: true,
        captureDdl: 'auto',
        replicaIdentity: 'needed',
        wishOf: tableWishes([], { operations: OPERATIONS, rules: [] }),
        decoder,
      },
      undefined,
      [publicationRight],
    );
  }

  it('is pgoutput for the owner, test_decoding with the reason for another, and what was asked for', async () => {
    await using source = await freshDatabase(15);
    await source.session.query(PLAIN);
    await using reader = await account(source);
    expect(await findings(source, source.info)).toMatchObject([
      {
        result: 'passed',
        what: 'changes are decoded by pgoutput: the account may publish every selected table',
      },
    ]);
    expect(await findings(source, source.info, 'test_decoding')).toMatchObject([
      { result: 'passed', what: 'changes are decoded by test_decoding: as asked for' },
    ]);
    const [chosen] = await findings(source, reader.info);
    expect(chosen).toMatchObject({
      result: 'alert',
      what: expect.stringContaining(
        'changes are decoded by test_decoding: the account may not create a publication',
      ),
      fix: expect.stringContaining('--publication'),
    });
    await source.session.query(`GRANT CREATE ON DATABASE ${source.name} TO reader_${source.name}`);
    expect(await findings(source, reader.info)).toMatchObject([
      { result: 'alert', what: expect.stringContaining('does not own 2 selected tables') },
    ]);
    expect(await findings(source, reader.info, 'pgoutput')).toMatchObject([{ result: 'failed' }]);
  });

  it('is none where a table without an identity belongs to somebody else', async () => {
    await using source = await freshDatabase(18);
    await source.session.query(`${PLAIN}; ALTER TABLE log REPLICA IDENTITY DEFAULT`);
    await using reader = await account(source);
    const [first] = await findings(source, reader.info);
    expect(first).toMatchObject({ result: 'failed', evidence: 'public.log' });
    await source.session.query((first?.fix ?? '').replaceAll(/--.*$/gm, ''));
    expect(await findings(source, reader.info)).toMatchObject([{ result: 'alert' }]);
  });

  it('is none where the database is not in UTF-8, since nobody converts what test_decoding writes', async () => {
    await using host = await freshDatabase(15);
    const name = `${host.name}_latin`;
    await host.session.query(
      `CREATE DATABASE ${name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
    try {
      expect(await findings(host, { ...host.info, database: name }, 'test_decoding')).toMatchObject([
        { result: 'failed', evidence: expect.stringContaining('LATIN1') },
      ]);
    } finally {
      await host.session.query(`DROP DATABASE ${name}`);
    }
  });
});

/**
 * A migration that is stopped, cut off or taken over at random moments ends with the same rows as one that was left alone: nothing
 * lost, nothing twice. A writer works on the source all the while, most of all on tables without a key, where a change applied twice shows.
 */
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { startEmbedded, type EmbeddedServer } from '../src/base/embedded/server.ts';
import { armFailpoint, FAILPOINTS } from '../src/base/runtime/failpoint.ts';
import { AppError } from '../src/base/errors/app-error.ts';
import { parseLsn } from '../src/engine/change/lsn.ts';
import { fingerprintSchema } from '../src/engine/pg/catalog/fingerprint.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import type { Session } from '../src/engine/pg/session.ts';
import { freshDatabase, freshPair, type TestDatabase } from './database.ts';
import type { Major } from './global-setup.ts';
import { follow, pause, reaches } from './follow.ts';
import { compare, migrate, start } from './migration.ts';
import { firstOf } from './matrix.ts';

const TABLES = `
  CREATE TABLE keyed (id serial PRIMARY KEY, v text, n int DEFAULT 0);
  INSERT INTO keyed (v) SELECT md5(i::text) FROM generate_series(1, 20000) i;
  CREATE TABLE equal (a int, b text);
  INSERT INTO equal SELECT i % 50, repeat('x', 200) FROM generate_series(1, 400) i;
  CREATE TABLE log (at int, what text);
  CREATE TABLE big (id int PRIMARY KEY, v text);
  INSERT INTO big SELECT i, (SELECT string_agg(md5((i * g)::text), '') FROM generate_series(1, 50) g) FROM generate_series(1, 3000) i;
  CREATE TABLE part (id int, k int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
  CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0); CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
  INSERT INTO part SELECT i, i % 2 FROM generate_series(1, 200) i`;

/** One transaction of the writer: several kinds of change, sometimes in savepoints, sometimes rolled back. */
function transaction(n: number): string {
  const id = 1 + Math.floor(Math.random() * 20_000);
  const work = [
    `INSERT INTO log VALUES (${n}, 'w'), (${n}, 'w')`,
    `UPDATE keyed SET n = n + 1 WHERE id BETWEEN ${id} AND ${id + 20}`,
    `INSERT INTO keyed (v) VALUES ('new')`,
    `DELETE FROM keyed WHERE id = ${id}`,
    `DELETE FROM equal WHERE ctid = (SELECT ctid FROM equal LIMIT 1); INSERT INTO equal VALUES (${n % 50}, 'y')`,
    `UPDATE equal SET a = a + 1 WHERE ctid = (SELECT ctid FROM equal WHERE a = ${n % 50} LIMIT 1)`,
    `UPDATE part SET k = 1 - k WHERE id = ${1 + (n % 200)}`,
    `SAVEPOINT s; UPDATE big SET id = id + 100000 WHERE id = ${1 + (n % 3000)}; RELEASE s`,
    `SAVEPOINT s; INSERT INTO log VALUES (${n}, 'lost'); ROLLBACK TO s`,
  ];
  const chosen = work.filter(() => Math.random() < 0.4);
  return `BEGIN; ${chosen.join('; ')}; ${Math.random() < 0.1 ? 'ROLLBACK' : 'COMMIT'}`;
}

/** Writes until disposed; throws its own failure at the end. */
async function writer(source: TestDatabase, pauseMs = 3): Promise<AsyncDisposable> {
  const session = await source.open({ role: 'writer' });
  await session.query('SET search_path = public');
  let stopped = false;
  const running = (async () => {
    for (let n = 0; !stopped; n++) {
      await session.query(transaction(n));
      await pause(pauseMs);
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

/** I6: every change that was received is accounted for. */
async function unbalanced(target: TestDatabase): Promise<unknown[]> {
  return target.session.query(
    'SELECT source_table, received, applied, folded, filtered, invisible, repeated, dead FROM _opendts.account WHERE received <> applied + folded + filtered + invisible + repeated + dead',
  );
}

async function expectIdentical(source: TestDatabase, target: TestDatabase): Promise<void> {
  expect((await compare(source, target)).differing).toEqual([]);
  expect(await unbalanced(target)).toEqual([]);
}

/** Ends sessions of the migration by the end of their application name: `%` is all, `holder`, `stream`, `apply` … Returns how many. */
async function cut(database: TestDatabase, roles: string): Promise<number> {
  const rows = await database.session.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'opendts:%' AND application_name LIKE $1`,
    [`%:${roles}`],
  );
  return rows.length;
}

const BURST = `UPDATE keyed SET n = n + 1, v = repeat('b', 40); UPDATE part SET k = 1 - k; INSERT INTO log SELECT i, repeat('b', 40) FROM generate_series(1, 5000) i`;

const tables = (from: Major, to: Major) => freshPair(from, to, TABLES);

/** Errors after which running again is the remedy. */
const LATER = [
  'CONNECTION_LOST',
  'SNAPSHOT_LOST',
  'SOURCE_SILENT',
  'SLOT_IN_USE',
  'CONNECT_FAILED',
  'FENCED',
];

describe('a migration stopped by its signal again and again', () => {
  it.each(
    firstOf(1, [
      [12, 18],
      [18, 15],
    ] as const),
  )('from %i to %i ends with the same rows', async (from, to) => {
    await using ends = await tables(from, to);
    const { source, target } = ends;
    {
      await using _ = await writer(source);
      let delay = 150;
      for (let run = 0; run < 7; run++) {
        const abort = new AbortController();
        const migration = start(source, target, { signal: abort.signal, until: { kind: 'signal' } });
        const timer = setTimeout(() => abort.abort(), delay);
        const { outcome } = await migration.finished.catch((thrown: unknown) => {
          // Aborted before it had a task to sum up.
          if (abort.signal.aborted) return { outcome: 'stopped' };
          throw thrown;
        });
        clearTimeout(timer);
        expect(outcome).toBe('stopped');
        delay = 100 + Math.random() * 700;
      }
    }
    await migrate(source, target);
    await expectIdentical(source, target);
  });
});

describe('a migration whose sessions are ended at random moments', () => {
  it.each(
    firstOf(5, [
      ['source', 'holder', 12, 15],
      ['source', 'stream', 18, 18],
      ['target', 'apply', 17, 15],
      ['target', 'copy', 12, 18],
      ['source', 'copy', 18, 17],
      ['source', '%', 15, 18],
      ['target', '%', 17, 17],
    ] as const),
  )(
    'on the %s (role %s, %i to %i) goes on, or ends with a clear error and goes on when run again',
    async (side, role, from, to) => {
      await using ends = await tables(from, to);
      const { source, target } = ends;
      const odd: string[] = [];
      let cuts = 0;
      {
        await using _ = await writer(source);
        for (let run = 0; run < 3; run++) {
          const abort = new AbortController();
          const migration = start(source, target, { signal: abort.signal, until: { kind: 'signal' } });
          let over = false;
          const end = migration.finished.then(
            () => (over = true),
            (thrown: unknown) => {
              over = true;
              const code = thrown instanceof AppError ? thrown.code : 'no AppError';
              if (!LATER.includes(code)) odd.push(inspect(thrown, { depth: 4 }));
            },
          );
          for (let round = 0; round < 3 && !over; round++) {
            await Promise.race([end, pause(Math.random() * (run < 2 ? 100 : 400))]);
            const database = side === 'source' ? source : target;
            let ended = 0;
            // The first is waited for: on a busy machine its session comes late.
            const waits = cuts === 0 ? 4_000 : 60;
            for (let wait = 0; wait < waits && !over && ended === 0; wait++) {
              ended = await cut(database, role);
              if (ended === 0) await pause(5);
            }
            cuts += ended;
          }
          await Promise.race([end, pause(300)]);
          abort.abort();
          await end;
        }
      }
      expect(cuts).toBeGreaterThan(0);
      expect(odd).toEqual([]);
      await migrate(source, target);
      await expectIdentical(source, target);
    },
  );
});

describe('a second snapshot', () => {
  /** Copies one batch of tables under the slot's snapshot and stops before the others. */
  async function stopAfterOneUnit(source: TestDatabase, target: TestDatabase): Promise<void> {
    const abort = new AbortController();
    const failpoints = armFailpoint('copy.after-unit-commit', () => abort.abort());
    const { outcome } = await migrate(source, target, { signal: abort.signal, failpoints, jobs: 1 });
    expect(outcome).toBe('stopped');
    const [{ n } = { n: '0' }] = await target.session.query(
      'SELECT count(*)::text AS n FROM _opendts.copy_chunk',
    );
    expect(Number(n)).toBeGreaterThan(0);
    expect(Number(n)).toBeLessThan(20);
  }

  const MANY = Array.from(
    { length: 10 },
    (_, at) =>
      `CREATE TABLE t${at} (a int, b text); INSERT INTO t${at} SELECT i % 5, 'v' FROM generate_series(1, ${20 + at}) i; CREATE TABLE k${at} (id int PRIMARY KEY, n int); INSERT INTO k${at} SELECT i, 0 FROM generate_series(1, 50) i`,
  ).join('; ');
  const all = (sql: (table: string) => string, kind: 't' | 'k') =>
    Array.from({ length: 10 }, (_, at) => sql(`${kind}${at}`)).join('; ');
  const everywhere = (mark: string) =>
    `${all((t) => `INSERT INTO ${t} VALUES (1, '${mark}'), (1, '${mark}'); DELETE FROM ${t} WHERE ctid = (SELECT ctid FROM ${t} WHERE b = 'v' LIMIT 1); UPDATE ${t} SET a = a + 1 WHERE ctid = (SELECT ctid FROM ${t} WHERE b = 'v' LIMIT 1)`, 't')}; ${all((t) => `UPDATE ${t} SET n = n + 1`, 'k')}`;

  it.each(
    firstOf(2, [
      [12, 18],
      [18, 15],
      [17, 17],
    ] as const),
  )('from %i to %i takes each open, committed and rolled back transaction once', async (from, to) => {
    await using source = await freshDatabase(from);
    await using target = await freshDatabase(to);
    await source.session.query(MANY);
    await stopAfterOneUnit(source, target);
    await source.session.query(everywhere('before'));
    await using open = await source.open({ role: 'open' });
    await using back = await source.open({ role: 'back' });
    for (const session of [open, back]) await session.query('SET search_path = public');
    await open.query(
      `BEGIN; ${all((t) => `INSERT INTO ${t} VALUES (7, 'open')`, 't')}; SAVEPOINT a; ${all((t) => `INSERT INTO ${t} VALUES (8, 'sub')`, 't')}; SAVEPOINT b; ${all((t) => `INSERT INTO ${t} VALUES (9, 'lost')`, 't')}; ROLLBACK TO b`,
    );
    await back.query(`BEGIN; ${all((t) => `DELETE FROM ${t}`, 'k')}`);
    const following = follow(source, target);
    for (;;) {
      const [{ n } = { n: '0' }] = await target.session.query(
        `SELECT count(*)::text AS n FROM _opendts.copy_chunk WHERE snapshot IS NOT NULL`,
      );
      if (Number(n) > 0) break;
      await pause(20);
    }
    await open.query('COMMIT');
    await back.query('ROLLBACK');
    await source.session.query(everywhere('after'));
    await (await following).catchUp();
    await expectIdentical(source, target);
    const [{ n } = { n: '0' }] = await target.session.query(
      'SELECT sum(invisible)::text AS n FROM _opendts.account',
    );
    expect(Number(n)).toBeGreaterThan(0);
  });

  it('takes a transaction that was prepared before and committed after it once', async () => {
    const server = await startEmbedded({
      major: 17,
      settings: { wal_level: 'logical', max_prepared_transactions: 5, fsync: 'off' },
    });
    try {
      await using source = await privateDatabase(server);
      await using target = await freshDatabase(18);
      await source.session.query(MANY);
      await stopAfterOneUnit(source, target);
      await source.session.query(`BEGIN; ${everywhere('prepared')}; PREPARE TRANSACTION 'p1'`);
      await source.session.query(
        `BEGIN; ${all((t) => `INSERT INTO ${t} VALUES (6, 'early')`, 't')}; PREPARE TRANSACTION 'p2'`,
      );
      await source.session.query(`COMMIT PREPARED 'p2'`);
      const following = await follow(source, target);
      await source.session.query(`COMMIT PREPARED 'p1'`);
      await following.catchUp();
      await expectIdentical(source, target);
    } finally {
      await server.remove();
    }
  });
});

async function privateDatabase(server: EmbeddedServer): Promise<TestDatabase> {
  const uri = server.uri('postgres');
  const info = parseConninfo(uri, 'source');
  const open = (role = 'test'): Promise<Session> =>
    connect(info, { side: 'source', applicationName: `test:${role}` });
  const session = await open();
  await session.query('RESET search_path');
  return {
    major: 17,
    name: 'postgres',
    uri,
    info,
    session,
    open: ({ role } = {}) => open(role),
    [Symbol.asyncDispose]: () => session.end(),
  };
}

describe('two runs of one migration', () => {
  it.each(['copy', 'stream'] as const)(
    'while the first is at %s: the second takes over, the first ends, nothing is applied twice',
    async (phase) => {
      await using ends = await tables(17, 18);
      const { source, target } = ends;
      {
        await using _ = await writer(source, 1);
        const first = start(source, target, { until: { kind: 'signal' } });
        const firstEnd = first.finished.then(
          () => 'ended',
          (thrown: unknown) => (thrown instanceof AppError ? thrown.code : String(thrown)),
        );
        await reaches(first, phase);
        const second = start(source, target);
        await second.finished;
        expect(['FENCED', 'CONNECTION_LOST']).toContain(await firstEnd);
      }
      await migrate(source, target);
      await expectIdentical(source, target);
    },
  );
});

describe('a migration whose process stops at a failpoint', () => {
  it.each(FAILPOINTS.filter((name) => !/^(ddl|join)\./.test(name)))(
    '%s ends right when run again',
    async (name) => {
      await using ends = await tables(17, 17);
      const { source, target } = ends;
      let passed = 0;
      {
        await using _ = await writer(source);
        for (const nth of [1, 3]) {
          // Enough for both lanes, however quick the others are: two tables in one window.
          if (passed === 0 && nth > 1) await source.session.query(BURST);
          const failpoints = armFailpoint(`${name}:${passed === 0 ? 1 : nth}`, () => {
            passed++;
            throw new AppError('UNEXPECTED', { problem: 'failpoint' });
          });
          await migrate(source, target, { failpoints }).catch((thrown: unknown) => {
            if (!(thrown instanceof AppError) || thrown.facts['problem'] !== 'failpoint') throw thrown;
          });
        }
      }
      expect(passed).toBeGreaterThan(0);
      await migrate(source, target);
      await expectIdentical(source, target);
    },
  );
});

describe('progress', () => {
  it('is recorded on the target before it is confirmed to the slot, at all times', async () => {
    await using ends = await tables(15, 18);
    const { source, target } = ends;
    await using watcher = await source.open({ role: 'watcher' });
    const ahead: string[] = [];
    const seen = new Set<string>();
    const following = await follow(source, target);
    {
      await using _ = await writer(source, 1);
      // A busy stream confirms every few seconds what the target's disk has: long enough to see it twice.
      for (let poll = 0; poll < 250 || (seen.size < 3 && poll < 6000); poll++) {
        const slot = await watcher.one(
          `SELECT confirmed_flush_lsn::text AS lsn FROM pg_catalog.pg_replication_slots WHERE database = pg_catalog.current_database()`,
        );
        const lane = await target.session.one(
          'SELECT end_lsn::text AS lsn FROM _opendts.lane WHERE lane = 0',
        );
        if (parseLsn(slot.lsn ?? '') > parseLsn(lane.lsn ?? '')) ahead.push(`${slot.lsn} > ${lane.lsn}`);
        seen.add(slot.lsn ?? '');
        await pause(10);
      }
    }
    await following.catchUp();
    expect(ahead).toEqual([]);
    expect(seen.size).toBeGreaterThan(2);
    await expectIdentical(source, target);
  });
});

it('a run that goes on in the stream reads the schema of the source again only where it is another than all of it that has come', async () => {
  await using source = await freshDatabase(17);
  await using target = await freshDatabase(18);
  await source.session.query('CREATE TABLE t (id int PRIMARY KEY, v text)');
  await migrate(source, target);
  const known = async () =>
    (await target.session.one('SELECT fingerprint FROM _opendts.complete_schema')).fingerprint ?? '';
  const has = async (index: string) =>
    (await target.session.query(`SELECT FROM pg_class WHERE relname = '${index}'`)).length === 1;
  const [before, print] = [await known(), await fingerprintSchema(source.session)];
  expect(before.split(' ').slice(-print.split(' ').length)).toEqual(print.split(' '));
  await source.session.query('CREATE INDEX i ON t (v)');
  const after = before.replace(print, await fingerprintSchema(source.session));
  // As if it had come.
  await target.session.query('UPDATE _opendts.complete_schema SET fingerprint = $1', [after]);
  await migrate(source, target);
  expect(await has('i')).toBe(false);
  await target.session.query('UPDATE _opendts.complete_schema SET fingerprint = $1', [before]);
  await migrate(source, target);
  expect([await has('i'), await known()]).toEqual([true, after]);
});

describe('somebody else', () => {
  it('who dropped the slot is noticed: SLOT_LOST', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
    await migrate(source, target);
    await source.session.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`,
    );
    await source.session.query('INSERT INTO t VALUES (2)');
    await expect(migrate(source, target)).rejects.toMatchObject({ code: 'SLOT_LOST' });
  });

  it('who read from the slot is noticed: PROGRESS_AHEAD', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
    const { slot } = await migrate(source, target);
    await source.session.query('INSERT INTO t VALUES (2)');
    await source.session.query(`SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())`, [slot]);
    await expect(migrate(source, target)).rejects.toMatchObject({ code: 'PROGRESS_AHEAD' });
  });

  it('who deleted a row of the target, or wrote one, stops that table only; once repaired, the next run goes on', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(15);
    await source.session.query(
      'CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, $$v$$ FROM generate_series(1, 20) i; CREATE TABLE other (id int PRIMARY KEY)',
    );
    await migrate(source, target);
    await target.session.query('DELETE FROM t WHERE id = 5');
    await source.session.query('INSERT INTO other VALUES (1)');
    await source.session.query('UPDATE t SET v = $$w$$');
    const missing = {
      code: 'TABLES_STOPPED',
      facts: {
        count: 1,
        problems: expect.stringMatching(/UPDATE of public\.t \(key \(id\) = \(5\)\) met 0 rows/),
      },
    };
    await expect(migrate(source, target)).rejects.toMatchObject(missing);
    // The other table has gone on, and its changes do not come a second time.
    await source.session.query('INSERT INTO other VALUES (2)');
    await expect(migrate(source, target)).rejects.toMatchObject(missing);
    expect(await target.session.query('SELECT id FROM other ORDER BY id')).toEqual([
      { id: '1' },
      { id: '2' },
    ]);
    expect(await target.session.query('SELECT id FROM t WHERE v <> $$v$$')).toEqual([]);
    await target.session.query('INSERT INTO t VALUES (5, $$v$$)');
    await migrate(source, target);
    await expectIdentical(source, target);

    await target.session.query('INSERT INTO t VALUES (100, $$mine$$)');
    await source.session.query('INSERT INTO t SELECT i, $$x$$ FROM generate_series(99, 101) i');
    await expect(migrate(source, target)).rejects.toMatchObject({
      code: 'TABLES_STOPPED',
      facts: { problems: expect.stringContaining('100') },
    });
    await target.session.query('DELETE FROM t WHERE id = 100');
    await migrate(source, target);
    await expectIdentical(source, target);
  });
});

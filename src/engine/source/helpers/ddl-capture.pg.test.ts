/** DDL of every kind on real servers, as the change stream tells it; and that no command of the user's ever fails for it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../../test/database.ts';
import type { RowChange } from '../../change/change.ts';
import { parseLsn } from '../../change/lsn.ts';
import { displayName } from '../../change/relation.ts';
import { connect } from '../../pg/connect.ts';
import { SlotStream } from '../../pg/slot/stream.ts';
import { pgoutputDecoder } from '../../pg/pgoutput/decoder.ts';
import { endOfWal } from '../../pg/wal-position.ts';
import { ensureCapture, isCapturing } from './ddl-capture.ts';
import { ddlEventOf, type DdlEvent } from './ddl-event.ts';
import { beat, ensureHeartbeat, heartbeatOf } from './heartbeat.ts';
import { readHelpers, removeHelpers } from './remove.ts';

let db: TestDatabase;
const names = { slot: 'dts_sync_x', publication: 'dts_sync_x' };

/** Publishes the helpers and starts a slot behind them. */
async function prepare(major: 12 | 15 | 17 | 18, sql = ''): Promise<void> {
  db = await freshDatabase(major);
  names.slot = `dts_sync_${db.name}`;
  await db.session.query(`${sql}; CREATE PUBLICATION dts_sync_x`);
  expect(await ensureHeartbeat(db.session, names)).toEqual({ kind: 'on' });
  expect(await ensureCapture(db.session, names)).toEqual({ kind: 'on' });
  await db.session.query(`SELECT pg_create_logical_replication_slot('${names.slot}', 'pgoutput')`);
}

/** Everything committed since the last call or the slot's creation. */
async function read(): Promise<RowChange[]> {
  const end = await endOfWal(db.session);
  const { confirmed } = await db.session.one(
    `SELECT confirmed_flush_lsn AS confirmed FROM pg_replication_slots WHERE slot_name = '${names.slot}'`,
  );
  const changes: RowChange[] = [];
  await using stream = SlotStream.start(await db.open({ replication: true }), {
    slot: names.slot,
    decoder: pgoutputDecoder(names.publication),
    from: parseLsn(confirmed ?? ''),
    safe: parseLsn(confirmed ?? ''),
    walSenderTimeoutMs: 0,
  });
  const signal = AbortSignal.timeout(20_000);
  for (;;) {
    stream.askForPosition();
    const item = await stream.next(signal);
    if (item.kind === 'insert' || item.kind === 'update' || item.kind === 'delete') changes.push(item);
    if (item.kind === 'keepalive' && item.walEnd >= end) break;
  }
  stream.confirm(end);
  return changes;
}

/** Runs statements one by one and returns what was captured. */
async function captured(...statements: string[]): Promise<DdlEvent[]> {
  for (const statement of statements) await db.session.query(statement);
  return (await read()).flatMap((change) => ddlEventOf(change) ?? []);
}

const brief = ({ tag, kind, tables, objects }: DdlEvent) =>
  `${tag} | ${kind} | ${tables.map(displayName).join(',')} | ${objects.join(', ')}`;

afterEach(async () => {
  await db[Symbol.asyncDispose]();
});

describe.each([12, 15, 18] as const)('on PostgreSQL %i', (major) => {
  it('each command is one event that names its tables', async () => {
    await prepare(major, 'CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ($$a$$)');
    const events = await captured(
      'CREATE TABLE s.t (id int PRIMARY KEY, n numeric(10,2) NOT NULL, m s.mood)',
      'ALTER TABLE s.t ADD COLUMN x text, DROP COLUMN n',
      'ALTER TABLE s.t RENAME COLUMN x TO y',
      'CREATE INDEX i ON s.t (y)',
      'ALTER INDEX s.i RENAME TO j',
      'CREATE UNIQUE INDEX CONCURRENTLY k ON s.t (y)',
      'DROP INDEX s.k',
      'ALTER TABLE s.t ADD CONSTRAINT c CHECK (id > 0)',
      'CREATE FUNCTION s.f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$',
      'CREATE TRIGGER g BEFORE INSERT ON s.t FOR EACH ROW EXECUTE PROCEDURE s.f()',
      'DROP TRIGGER g ON s.t',
      'ALTER TABLE s.t RENAME TO u',
      'ALTER TABLE s.u SET SCHEMA public',
      'DROP TYPE s.mood CASCADE',
      'CREATE TABLE s.copy AS SELECT 1 AS a',
      'CREATE TABLE s.p (id int) PARTITION BY LIST (id)',
      'CREATE TABLE s.p1 PARTITION OF s.p DEFAULT',
      'ALTER TABLE s.p DETACH PARTITION s.p1',
      'ALTER SCHEMA s RENAME TO r',
      'DROP TABLE r.p1, r.copy',
      'DROP SCHEMA r CASCADE',
      'CREATE VIEW v AS SELECT 1 AS a',
      'ALTER TABLE v RENAME TO w',
    );
    expect(events.map(brief)).toEqual([
      'CREATE TABLE | create-table | s.t | table s.t, index s.t_pkey',
      'ALTER TABLE | alter-table | s.t | table s.t',
      'ALTER TABLE | alter-table | s.t | table column s.t.y',
      'CREATE INDEX | index | s.t | index s.i',
      'ALTER INDEX | index | s.t | index s.j',
      'CREATE INDEX | index | s.t | index s.k',
      'DROP INDEX | index |  | index s.k',
      'ALTER TABLE | alter-table | s.t | table s.t',
      'CREATE FUNCTION | other |  | function s.f()',
      'CREATE TRIGGER | other | s.t | trigger g on s.t',
      'DROP TRIGGER | other | s.t | trigger g on s.t',
      'ALTER TABLE | rename | s.u | table s.u',
      'ALTER TABLE | alter-table | public.u | table public.u',
      'DROP TYPE | alter-table | public.u | type s.mood, table column public.u.m',
      'CREATE TABLE AS | create-table | s.copy | table s.copy',
      'CREATE TABLE | create-table | s.p | table s.p',
      'CREATE TABLE | create-table | s.p1 | table s.p1',
      'ALTER TABLE | alter-table | s.p | table s.p',
      'ALTER SCHEMA | rename |  | schema r',
      'DROP TABLE | drop | r.copy,r.p1 | table r.copy, table r.p1',
      'DROP SCHEMA | drop | r.p | schema r, table r.p',
      'CREATE VIEW | other |  | view public.v',
      'ALTER TABLE | other |  | view public.w',
    ]);
    const [created, altered] = events;
    expect(created?.tables[0]?.columns).toMatchObject([
      { attnum: 1, name: 'id', type: 'integer', notNull: true },
      { attnum: 2, name: 'n', type: 'numeric(10,2)', notNull: true },
      { attnum: 3, name: 'm', type: 's.mood', notNull: false },
    ]);
    expect(altered?.tables[0]?.columns?.map(({ attnum, name }) => `${attnum} ${name}`)).toEqual([
      '1 id',
      '3 m',
      '4 x',
    ]);
    // The oid is what tells a renamed table.
    const oids = new Set(
      events
        .flatMap(({ tables }) => tables.filter(({ name }) => name === 't' || name === 'u'))
        .map(({ oid }) => oid),
    );
    expect(oids.size).toBe(1);
    expect(altered).toMatchObject({
      text: 'ALTER TABLE s.t ADD COLUMN x text, DROP COLUMN n',
      isCut: false,
      isNested: false,
      user: db.info.user,
    });
    expect(altered?.time).toMatch(/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00$/);
    expect(altered?.xid).toBeGreaterThan(0n);
  });
});

describe('what is captured', () => {
  beforeEach(() => prepare(17, 'CREATE TABLE t (id int PRIMARY KEY)'));

  it('leaves out temporary tables, members of extensions, grants, comments and our own objects', async () => {
    const events = await captured(
      'CREATE TEMP TABLE x (id int PRIMARY KEY)',
      'ALTER TABLE x ADD y int',
      'DROP TABLE x',
      'CREATE EXTENSION hstore',
      'GRANT SELECT ON t TO PUBLIC',
      "COMMENT ON TABLE t IS 'x'",
      'TRUNCATE t',
      'CREATE PUBLICATION mine FOR TABLE t',
      'VACUUM FULL t',
      'DROP EXTENSION hstore',
    );
    const extension = (verb: string) => `${verb} EXTENSION | other |  | extension hstore`;
    // Its script drops operators that it makes anew.
    expect(events.map(brief).filter((line) => !line.startsWith('DROP OPERATOR'))).toEqual(
      ['CREATE', 'DROP'].map(extension),
    );
    await removeHelpers(db.session, names);
    expect(await readHelpers(db.session)).toHaveLength(5);
  });

  it('stands among the changes of its transaction, and goes with it when it is rolled back', async () => {
    await db.session.query('ALTER PUBLICATION dts_sync_x ADD TABLE t');
    await db.session.query('BEGIN; ALTER TABLE t ADD gone int; ROLLBACK');
    await db.session.query(
      'BEGIN; INSERT INTO t VALUES (1); ALTER TABLE t ADD v int; INSERT INTO t VALUES (2, 2); COMMIT',
    );
    const seen = (await read()).map(
      (change) => ddlEventOf(change)?.text.length ?? displayName(change.relation),
    );
    // The text is the whole message of the client.
    expect(seen).toEqual(['public.t', expect.any(Number), 'public.t']);
  });

  it('tells a command that a function has run, and a text that was cut', async () => {
    const [inside, long] = await captured(
      "DO $$BEGIN EXECUTE 'ALTER TABLE t ADD a int'; END$$",
      `ALTER TABLE t ADD b text DEFAULT '${'ü'.repeat(20_000)}'`,
    );
    expect(inside).toMatchObject({ isNested: true, isCut: false, tag: 'ALTER TABLE' });
    expect(long).toMatchObject({ isNested: false, isCut: true });
    expect(long?.text).toHaveLength(10_000);
  });

  it('comes from replica sessions and from users without rights on our table too, who cannot read it', async () => {
    await db.session.query(
      `CREATE ROLE ${db.name} LOGIN PASSWORD 'only-here'; GRANT CREATE ON SCHEMA public TO ${db.name}`,
    );
    try {
      await using user = await connect(
        { ...db.info, user: db.name, password: 'only-here' },
        { side: 'source', applicationName: 'test' },
      );
      // What a user puts first in the path, or calls like a function of the server's, is not what runs there.
      await user.query(
        'CREATE FUNCTION public.left(text, int) RETURNS text LANGUAGE sql AS $$SELECT 1/0::text$$; SET search_path = public, pg_catalog; CREATE TABLE mine (id int)',
      );
      await expect(user.query('SELECT * FROM public.dts_ddl_command')).rejects.toThrow('permission denied');
      const events = await captured('SET session_replication_role = replica', 'CREATE TABLE r (id int)');
      expect(events.map(({ user: who, tag }) => [who, tag])).toEqual([
        [db.name, 'CREATE FUNCTION'],
        [db.name, 'CREATE TABLE'],
        [db.info.user, 'CREATE TABLE'],
      ]);
    } finally {
      await db.session.query(`DROP OWNED BY ${db.name}; DROP ROLE ${db.name}`);
    }
  });

  it('never makes a command fail or wait: not without its table, nor behind a lock on it', async () => {
    await using other = await db.open();
    await other.query('BEGIN; LOCK TABLE public.dts_ddl_command');
    const started = performance.now();
    await db.session.query('CREATE TABLE behind (id int)');
    expect(performance.now() - started).toBeLessThan(3_000);
    await other.query('ROLLBACK; DROP TABLE public.dts_ddl_command');
    await db.session.query('CREATE TABLE without (id int)');
    expect(await isCapturing(db.session, names)).toBe(false);
    expect(await ensureCapture(db.session, names)).toEqual({ kind: 'on' });
    expect((await captured('DROP TABLE behind, without')).map(({ tag }) => tag)).toEqual(['DROP TABLE']);
  });

  it('comes with heartbeats, by the clock of the source', async () => {
    const before = Date.now();
    await beat(db.session, names.slot, {
      commitMs: 1.5,
      endOfLog: parseLsn('0/10'),
      recorded: parseLsn('0/8'),
    });
    await beat(db.session, 'dts_sync_other', { commitMs: null, endOfLog: null, recorded: parseLsn('0/8') });
    await db.session.query('CREATE TABLE x (id int)');
    const beats = (await read()).map(heartbeatOf);
    expect(beats.map((one) => one?.slot ?? null)).toEqual([names.slot, 'dts_sync_other', null]);
    const time = beats[0]?.timeMs ?? 0;
    expect(Math.abs(time - before)).toBeLessThan(60_000);
    const row = await db.session.one(
      `SELECT * FROM dts_postgres_heartbeat WHERE slot_name = '${names.slot}'`,
    );
    expect(row).toMatchObject({ revice_time: '2', revice_lsn: '0/10', flushed_lsn: '0/8' });
  });
});

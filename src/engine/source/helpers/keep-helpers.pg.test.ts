/** The helpers in sources that have them, lose them, or cannot have them. */
import { afterEach, describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../../test/database.ts';
import { ownServer } from '../../../../test/own-server.ts';
import { LSN_ZERO } from '../../change/lsn.ts';
import { displayName } from '../../change/relation.ts';
import { connect } from '../../pg/connect.ts';
import type { Session } from '../../pg/session.ts';
import { readTables } from '../../pg/catalog/tables/tables.ts';
import { ensureCapture, isCapturing, whyNoEventTrigger } from './ddl-capture.ts';
import { ensureHeartbeat } from './heartbeat.ts';
import { ensureHelpers } from './install.ts';
import { keepHelpers, type HelperKeeping } from './keep-helpers.ts';
import { readHelpers, removeHelpers } from './remove.ts';

const names = { slot: 'dts_sync_keep', publication: 'dts_sync_keep' };
let db: TestDatabase;

async function open(major: 12 | 15 | 17 | 18, sql = 'CREATE PUBLICATION dts_sync_keep'): Promise<void> {
  db = await freshDatabase(major);
  await db.session.query(sql);
}
afterEach(() => db[Symbol.asyncDispose]());

const beats = async () =>
  Number(
    (
      await db.session.one(
        "SELECT count(*)::text AS n FROM pg_class WHERE relname = 'dts_postgres_heartbeat'",
      )
    ).n,
  );

interface Seen extends Disposable {
  readonly warnings: string[];
  readonly catalog: string[];
}

/** Keeps the helpers ten times a second. */
async function keep(options: Partial<HelperKeeping> = {}): Promise<Seen> {
  const [warnings, catalog]: [string[], string[]] = [[], []];
  const keeper = keepHelpers({
    names,
    heartbeat: true,
    captureDdl: true,
    open: () => db.open(),
    known: options.known ?? (await readTables(db.session)),
    position: () => ({ commitMs: null, endOfLog: null, recorded: LSN_ZERO }),
    onWarning: (message) => warnings.push(message),
    onCatalog: (events) => catalog.push(...events.map(({ kind, table }) => `${kind} ${displayName(table)}`)),
    everyMs: 100,
    compareMs: { captured: 60_000, alone: 100 },
    ...options,
  });
  return { warnings, catalog, [Symbol.dispose]: () => keeper[Symbol.dispose]() };
}

async function lastBeat(): Promise<string> {
  const [row] = await db.session.query(
    "SELECT update_time::text AS at FROM dts_postgres_heartbeat WHERE slot_name = 'dts_sync_keep'",
  );
  return row?.at ?? '';
}

/** As an account that may do little. */
async function asUser<T>(
  grants: (user: string) => string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const user = db.name;
  await db.session.query(`CREATE ROLE ${user} LOGIN PASSWORD 'only-here'; ${grants(user)}`);
  try {
    const info = { ...db.info, user, password: 'only-here' };
    await using session = await connect(info, { side: 'source', applicationName: 'test' });
    return await work(session);
  } finally {
    await db.session.query(`DROP OWNED BY ${user}; DROP ROLE ${user}`);
  }
}

describe('a heartbeat', () => {
  it('goes on beating after its row, its table or its connection is gone, and says so', async () => {
    await open(17);
    using seen = await keep();
    await expect.poll(lastBeat, { timeout: 10_000 }).not.toBe('');
    await db.session.query('DELETE FROM dts_postgres_heartbeat');
    await expect.poll(lastBeat, { timeout: 10_000 }).not.toBe('');
    expect(seen.warnings).toEqual([]);
    await db.session.query('DROP TABLE dts_postgres_heartbeat');
    await expect.poll(beats, { timeout: 10_000 }).toBe(1);
    await expect
      .poll(() => seen.warnings, { timeout: 10_000 })
      .toEqual(['The heartbeat table had been removed from the source: it was made again.']);
    const published = await db.session.query(
      "SELECT FROM pg_publication_tables WHERE pubname = 'dts_sync_keep' AND tablename = 'dts_postgres_heartbeat'",
    );
    expect(published).toHaveLength(1);
    const before = await lastBeat();
    await db.session.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${db.name}' AND pid <> pg_backend_pid()`,
    );
    await expect.poll(async () => (await lastBeat()) > before, { timeout: 10_000 }).toBe(true);
  });

  it('waits for no standby of the source', async () => {
    await using server = await ownServer(17);
    db = server.database;
    const { session } = db;
    await session.query('CREATE PUBLICATION dts_sync_keep');
    await session.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    await session.query('SELECT pg_reload_conf()');
    const beat = async () =>
      (await session.query('SELECT update_time::text AS at FROM dts_postgres_heartbeat'))[0]?.at ?? '';
    await expect
      .poll(async () => (await session.one('SHOW synchronous_standby_names')).synchronous_standby_names)
      .toBe('nobody');
    using _ = await keep({ captureDdl: false, known: [] });
    await expect.poll(() => beat().catch(() => ''), { timeout: 10_000 }).not.toBe('');
    const before = await beat();
    await expect.poll(beat, { timeout: 10_000 }).not.toBe(before);
  });
});

describe('the capture of DDL', () => {
  it('is put back when somebody removes a part of it, and what happened in between is found by comparing', async () => {
    await open(17);
    using seen = await keep();
    await expect.poll(() => isCapturing(db.session, names), { timeout: 10_000 }).toBe(true);
    await expect.poll(lastBeat, { timeout: 10_000 }).not.toBe('');
    await db.session.query('BEGIN; DROP EVENT TRIGGER dts_capture_ddl; CREATE TABLE unseen (id int); COMMIT');
    await expect.poll(() => isCapturing(db.session, names), { timeout: 10_000 }).toBe(true);
    await expect.poll(() => seen.catalog, { timeout: 10_000 }).toEqual(['created public.unseen']);
    expect(seen.warnings).toEqual([
      'The capture of DDL had been removed from the source, in part at least: it was made again.',
    ]);
  });

  it('stays off where somebody has disabled it', async () => {
    await open(15);
    using seen = await keep();
    await expect.poll(() => isCapturing(db.session, names), { timeout: 10_000 }).toBe(true);
    await db.session.query('ALTER EVENT TRIGGER dts_capture_ddl DISABLE');
    await expect
      .poll(() => seen.warnings, { timeout: 10_000 })
      .toEqual([
        'DDL of the source is found by comparing its catalog, later than it happens: event trigger dts_capture_ddl of the source is disabled',
      ]);
    await db.session.query('CREATE TABLE found (id int)');
    await expect.poll(() => seen.catalog, { timeout: 10_000 }).toEqual(['created public.found']);
    expect(await isCapturing(db.session, names)).toBe(false);
  });
});

describe('a source that cannot have them', () => {
  it.each([12, 15, 18] as const)(
    'names what is missing on PostgreSQL %i, and nothing is left behind',
    async (major) => {
      await open(major, 'CREATE SCHEMA s; REVOKE CREATE ON SCHEMA public FROM PUBLIC');
      await asUser(
        (user) => `GRANT CREATE ON DATABASE ${db.name} TO ${user}`,
        async (session) => {
          await session.query('CREATE PUBLICATION dts_sync_keep');
          const grant = `GRANT CREATE ON SCHEMA public TO "${db.name}";`;
          const why = { kind: 'off', why: expect.stringContaining(grant) };
          expect(await ensureHelpers(session, names, { heartbeat: true, captureDdl: true })).toEqual({
            heartbeat: why,
            capture: why,
          });
          await db.session.query(grant);
          expect(await ensureHeartbeat(session, names)).toEqual({ kind: 'on' });
          expect(await ensureCapture(session, names)).toEqual({
            kind: 'off',
            why: expect.stringContaining('permission denied to create event trigger'),
          });
          expect(await whyNoEventTrigger(session)).toContain('permission denied');
          expect(await readHelpers(db.session)).toEqual(['helper table public.dts_postgres_heartbeat']);
          // DDL is seen all the same.
          using seen = await keep({
            open: async () =>
              connect(
                { ...db.info, user: db.name, password: 'only-here' },
                { side: 'source', applicationName: 'test' },
              ),
          });
          await expect.poll(() => seen.warnings.length, { timeout: 10_000 }).toBe(1);
          await db.session.query('CREATE TABLE s.t (id int)');
          await expect.poll(() => seen.catalog, { timeout: 10_000 }).toEqual(['created s.t']);
          seen[Symbol.dispose]();
          await session.query('DROP PUBLICATION dts_sync_keep');
          expect(await removeHelpers(session, names)).toEqual(['helper table public.dts_postgres_heartbeat']);
        },
      );
    },
  );

  it('finds out that event triggers are allowed without leaving one', async () => {
    await open(17);
    expect(await whyNoEventTrigger(db.session)).toBeNull();
    expect(await db.session.query('SELECT FROM pg_event_trigger')).toEqual([]);
  });

  it.each([
    [12, 'FOR ALL TABLES'],
    [18, 'FOR ALL TABLES'],
    [18, 'FOR TABLES IN SCHEMA public'],
  ] as const)(
    'is one whose publication on %i %s would send them to subscribers that lack them',
    async (major, what) => {
      await open(major, `CREATE PUBLICATION dts_sync_keep; CREATE PUBLICATION theirs ${what}`);
      const off = {
        kind: 'off',
        why: expect.stringContaining('publication "theirs" of the source sends every table'),
      };
      expect(await ensureHelpers(db.session, names, { heartbeat: true, captureDdl: true })).toEqual({
        heartbeat: off,
        capture: off,
      });
      expect(await readHelpers(db.session)).toEqual([]);
    },
  );

  it('keeps what bears our names and is not ours', async () => {
    await open(
      17,
      `CREATE PUBLICATION dts_sync_keep; CREATE TABLE dts_postgres_heartbeat (slot_name text); CREATE FUNCTION dts_capture_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'`,
    );
    const { heartbeat, capture } = await ensureHelpers(db.session, names, {
      heartbeat: true,
      captureDdl: true,
    });
    expect([heartbeat, capture]).toEqual([
      { kind: 'off', why: 'public.dts_postgres_heartbeat of the source is not ours' },
      { kind: 'off', why: 'function public.dts_capture_ddl() of the source is not ours' },
    ]);
    await db.session.query('DROP PUBLICATION dts_sync_keep');
    expect(await removeHelpers(db.session, names)).toEqual([]);
    const left = await db.session.one(
      "SELECT to_regclass('dts_postgres_heartbeat') AS t, to_regprocedure('dts_capture_ddl()') AS f, to_regclass('dts_ddl_command') AS d",
    );
    expect(left).toEqual({ t: 'dts_postgres_heartbeat', f: 'dts_capture_ddl()', d: null });
  });
});

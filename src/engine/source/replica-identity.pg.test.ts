/** Which tables get FULL, how little anybody waits for it, and how it is given back. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import type { Session } from '../pg/session.ts';
import { readTables, type TableInfo } from '../pg/catalog/tables/tables.ts';
import type { FormerIdentity } from './handed-over.ts';
import { withLockRetry } from './lock-retry.ts';
import { prepareSource, publishMore, releaseSource } from './prepare.ts';
import { restoreIdentity, setReplicaIdentities, whyFull, type IdentityWishes } from './replica-identity.ts';

const needed: IdentityWishes = { policy: 'needed', needsWholeRow: () => false };

let db: TestDatabase;
let session: Session;
let remembered: FormerIdentity[];
const remember = async (former: FormerIdentity): Promise<void> => void remembered.push(former);

async function open(major: 12 | 15 | 17 | 18, sql: string): Promise<TableInfo[]> {
  db = await freshDatabase(major);
  await db.session.query(sql);
  session = await db.open();
  return readTables(session);
}

async function identityOf(table: string): Promise<string> {
  const { identity } = await db.session.one(
    `SELECT c.relreplident::text || coalesce(' ' || (SELECT i.indexrelid::regclass::text FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident), '') AS identity
       FROM pg_class c WHERE c.oid = '${table}'::regclass`,
  );
  return identity ?? '';
}

beforeEach(() => (remembered = []));
afterEach(async () => {
  await session.end();
  await db[Symbol.asyncDispose]();
});

const EVERY = `
  CREATE TABLE keyed (id int PRIMARY KEY, v text);
  CREATE TABLE keyless (a int);
  CREATE TABLE nothing (id int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
  CREATE TABLE by_index (a int NOT NULL, b int); CREATE UNIQUE INDEX "By ""a""" ON by_index (a);
  ALTER TABLE by_index REPLICA IDENTITY USING INDEX "By ""a""";
  CREATE TABLE lost_index (a int NOT NULL); CREATE UNIQUE INDEX lost ON lost_index (a);
  ALTER TABLE lost_index REPLICA IDENTITY USING INDEX lost; DROP INDEX lost;
  CREATE TABLE full_row (a int); ALTER TABLE full_row REPLICA IDENTITY FULL;`;

describe.each([12, 18] as const)('on PostgreSQL %i', (major) => {
  it('FULL is set for a reason only, and what was there is given back', async () => {
    const virtual =
      major >= 18
        ? 'CREATE TABLE virtual (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id + 1) VIRTUAL)'
        : '';
    const tables = await open(major, EVERY + virtual);
    const reasons = (wishes: IdentityWishes) =>
      Object.fromEntries(
        tables.flatMap((table) => [[table.name, whyFull(table, wishes)]]).filter(([, why]) => why !== null),
      );
    expect(reasons(needed)).toEqual({ keyless: 'no-key', nothing: 'no-key', lost_index: 'no-key' });
    expect(reasons({ policy: 'needed', needsWholeRow: ({ name }) => name === 'keyed' })).toMatchObject({
      keyed: 'whole-row',
    });
    const all = { policy: 'all', needsWholeRow: () => false } as const;
    expect(reasons(all)).toEqual({
      keyless: 'no-key',
      nothing: 'no-key',
      lost_index: 'no-key',
      keyed: 'all',
      by_index: 'all',
    });
    expect(reasons({ policy: 'never', needsWholeRow: () => true })).toEqual({});

    const before = await Promise.all(tables.map(({ name }) => identityOf(name)));
    await setReplicaIdentities(session, tables, { ...all, remember });
    for (const { name } of tables) expect(await identityOf(name)).toBe(name === 'virtual' ? 'd' : 'f');
    expect(remembered.map(({ name, identity }) => `${name} ${identity}`)).toEqual([
      'by_index USING INDEX "By ""a"""',
      'keyed DEFAULT',
      'keyless DEFAULT',
      'lost_index NOTHING',
      'nothing NOTHING',
    ]);
    for (const former of remembered) await restoreIdentity(session, former, 'none');
    // An index that is gone cannot be named again; NOTHING is what it came to.
    expect(await Promise.all(tables.map(({ name }) => identityOf(name)))).toEqual(
      before.map((identity, at) => (tables[at]?.name === 'lost_index' ? 'n' : identity)),
    );
  });
});

describe('with tables that cannot be followed as they are', () => {
  it('says which, where identities are not to be changed', async () => {
    const tables = await open(17, EVERY);
    await expect(
      setReplicaIdentities(session, tables, { policy: 'never', needsWholeRow: () => false, remember }),
    ).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('public.keyless has no key'),
      remedy: expect.stringContaining('ALTER TABLE "public"."keyless" REPLICA IDENTITY FULL;'),
    });
    expect(await identityOf('keyless')).toBe('d');
    const keyed = tables.filter(({ name }) => name === 'keyed');
    await expect(
      setReplicaIdentities(session, keyed, { policy: 'never', needsWholeRow: () => true, remember }),
    ).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('must be known by whole rows'),
    });
  });
});

describe('giving back', () => {
  it('finds a table that was renamed, leaves one alone that was changed by somebody, and passes over a dropped one', async () => {
    const tables = await open(
      17,
      'CREATE SCHEMA s; CREATE TABLE a (x int); CREATE TABLE b (id int); CREATE TABLE c (x int)',
    );
    await setReplicaIdentities(session, tables, { ...needed, remember });
    await db.session.query(
      'ALTER TABLE a RENAME TO "A b"; ALTER TABLE "A b" SET SCHEMA s; ALTER TABLE b REPLICA IDENTITY NOTHING; DROP TABLE c',
    );
    const lines = [];
    for (const former of remembered) lines.push(await restoreIdentity(session, former, 'none'));
    expect(lines).toEqual(['replica identity of s.A b (set back)', null, null]);
    expect([await identityOf('s."A b"'), await identityOf('b')]).toEqual(['d', 'n']);
  });

  it('falls back to the primary key where the index is gone', async () => {
    const tables = await open(17, EVERY);
    await setReplicaIdentities(session, tables, { policy: 'all', needsWholeRow: () => false, remember });
    await db.session.query('DROP INDEX "By ""a"""');
    const former = remembered.find(({ name }) => name === 'by_index')!;
    expect(await restoreIdentity(session, former, 'none')).toContain('to DEFAULT, because its index is gone');
    expect(await identityOf('by_index')).toBe('d');
  });
});

/** How long each of a row of short statements took while `until` was under way. */
async function waits(statement: string, until: Promise<unknown>): Promise<number[]> {
  await using other = await db.open();
  let running = true;
  void until.finally(() => (running = false)).catch(() => {});
  const took: number[] = [];
  while (running) {
    const started = performance.now();
    await other.query(statement);
    took.push(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return took;
}

describe('a table that others hold', () => {
  it.each([
    ['reader', 'SELECT * FROM public.busy'],
    ['writer', 'INSERT INTO public.busy VALUES (1)'],
  ])('is waited for a moment at a time: nobody queues behind us for a long %s', async (_, holding) => {
    const tables = await open(17, 'CREATE TABLE busy (a int)');
    await using holder = await db.open();
    await holder.query(`BEGIN; ${holding}`);
    const setting = setReplicaIdentities(session, tables, { ...needed, remember });
    const release = new Promise((resolve) => setTimeout(resolve, 4_000)).then(() => holder.query('COMMIT'));
    const took = await waits('SELECT count(*) FROM public.busy', Promise.all([setting, release]));
    await setting;
    expect(await identityOf('busy')).toBe('f');
    // Our own moment is 200 ms; the machine may be slow.
    expect(Math.max(...took)).toBeLessThan(1_000);
    expect(took.length).toBeGreaterThan(10);
  });

  it('makes no deadlock with transactions that come back for more', async () => {
    const tables = await open(17, 'CREATE TABLE busy (a int); CREATE TABLE more (a int)');
    const signal = AbortSignal.timeout(4_000);
    const errors: unknown[] = [];
    const users = ['busy more', 'more busy'].map(async (order) => {
      const [first, second] = order.split(' ');
      await using user = await db.open();
      while (!signal.aborted) {
        await user
          .query(
            `BEGIN; INSERT INTO public.${first} VALUES (1); SELECT pg_sleep(0.3); INSERT INTO public.${second} VALUES (1); SELECT count(*) FROM public.${first}; COMMIT`,
          )
          .catch((thrown: unknown) => errors.push(thrown));
      }
    });
    await setReplicaIdentities(session, tables, { ...needed, remember });
    await Promise.all(users);
    expect(errors).toEqual([]);
    expect([await identityOf('busy'), await identityOf('more')]).toEqual(['f', 'f']);
  });

  it('is named with who holds it when it does not come free', async () => {
    await open(17, 'CREATE TABLE busy (a int)');
    await using holder = await db.open({ role: 'holder' });
    await holder.query('BEGIN; SELECT * FROM public.busy');
    const busy = { schema: 'public', name: 'busy' };
    await expect(
      withLockRetry(session, busy, 'ALTER TABLE public.busy REPLICA IDENTITY FULL', 500),
    ).rejects.toMatchObject({
      code: 'TABLE_BUSY',
      message: expect.stringMatching(/public\.busy .*application test:holder/),
    });
    await holder.query('COMMIT');
    await withLockRetry(session, busy, 'ALTER TABLE public.busy REPLICA IDENTITY FULL', 500);
  });
});

describe('tables that come while a task runs', () => {
  it('get their identity before they are published, so that nobody is refused an update, and give it back', async () => {
    const tables = await open(17, 'CREATE TABLE first (id int PRIMARY KEY)');
    const spec = {
      names: { slot: 'dts_sync_more', publication: 'dts_sync_more' },
      through: 'ours' as const,
      identities: needed,
      remember,
      signal: new AbortController().signal,
    };
    await prepareSource(session, { ...spec, tables, helpers: { heartbeat: true, captureDdl: true } });
    await db.session.query('CREATE TABLE late (a int); INSERT INTO late VALUES (1)');
    const late = (await readTables(session)).filter(({ name }) => name === 'late');
    for (let time = 0; time < 2; time++) await publishMore(session, { ...spec, tables: late });
    await db.session.query('UPDATE late SET a = 2');
    const published = await db.session.query('SELECT tablename FROM pg_publication_tables ORDER BY 1');
    expect(published.map(({ tablename }) => tablename)).toEqual([
      'dts_ddl_command',
      'dts_postgres_heartbeat',
      'first',
      'late',
    ]);
    expect(await releaseSource(session, spec.names, remembered)).toEqual([
      'replica identity of public.late (set back)',
      'publication dts_sync_more',
      'helper table public.dts_ddl_command',
      'helper table public.dts_postgres_heartbeat',
      'function public.dts_capture_ddl()',
      'event trigger dts_capture_ddl',
      'event trigger dts_capture_drop',
    ]);
    expect(await identityOf('late')).toBe('d');
  });
});

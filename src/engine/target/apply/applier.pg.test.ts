import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../../test/database.ts';
import { AppError } from '../../../base/errors/app-error.ts';
import { noFailpoints } from '../../../base/runtime/failpoint.ts';
import { lsnFrom } from '../../change/lsn.ts';
import type { QualifiedName } from '../../change/relation.ts';
import { PgError } from '../../pg/pg-error.ts';
import { emptyAccount, readAccounts } from '../books/account.ts';
import { ensureBookkeeping } from '../books/bookkeeping.ts';
import { ApplyRefused } from './apply-failure.ts';
import { Applier, type ApplierOptions } from './applier.ts';
import { recordSlot } from '../books/recorded-slot.ts';
import { registerTask, takeOver } from '../books/task-row.ts';
import { openChunkWriter } from '../copy/chunk-writer.ts';
import type { LoadPlan } from '../copy/load-plan.ts';
import type { Planned } from './sql/apply-sql.ts';

const TASK = { taskId: 't', sourceSystem: 's', sourceDatabase: 'd', options: '{}', phase: 'slot' } as const;

async function taskOn(db: TestDatabase): Promise<bigint> {
  await ensureBookkeeping(db.session);
  await registerTask(db.session, TASK, []);
  const { fence } = await takeOver(db.session, 't');
  await recordSlot(
    db.session,
    { taskId: 't', fence },
    { lsn: lsnFrom(100n), snapshot: '1:1:', timeline: 1, decoder: 'pgoutput' },
  );
  await db.session.query('CREATE TABLE t (v int)');
  return fence;
}

function applierOptions(db: TestDatabase, fence: bigint): ApplierOptions {
  const openSession = async () => {
    const session = await db.open();
    await session.query("SET application_name = 'opendts:t:apply'");
    return session;
  };
  return { taskId: 't', fence, lanes: 2, openSession, failpoints: noFailpoints };
}

/** All that an applier asks of a planned statement that goes well. */
const INSERT = {
  sql: 'INSERT INTO public.t VALUES (1)',
  values: [],
  expect: 1,
  table: { name: { schema: 'public', name: 't' }, fires: false },
  operation: 'insert',
  key: null,
} as unknown as Planned;

const at = (lsn: bigint) => ({ endLsn: lsnFrom(lsn), commits: 1, accounts: new Map() });

it('a window whose answer was lost cannot commit any more once the books are read again (P9, P10)', async () => {
  await using db = await freshDatabase(17);
  const fence = await taskOn(db);
  const options = applierOptions(db, fence);
  await using lost = await Applier.open(options);
  await using late = await Applier.open(options);
  await expect(lost.applyPart([INSERT], false)).rejects.toMatchObject({ code: 'LANE_MOVED' });
  await late.applyPart([INSERT], false);
  // The connection seems gone: another applier opens where the row still says 100.
  await using next = await Applier.open(options);
  await next.applyWindow([INSERT], false, at(200n));
  await expect(late.applyWindow([], false, at(200n))).rejects.toThrow();
  expect(await db.session.one('SELECT count(*)::text AS n FROM t')).toEqual({ n: '1' });
  await using third = await Applier.open(options);
  expect(third.recorded).toBe(200n);
});

const A = { schema: 'public', name: 'a' };
const B = { schema: 'public', name: 'b' };

/** Enough to be spread. */
function copyInto(name: QualifiedName, firstLine = 'x'): Planned {
  const lines = `${firstLine}\n${`${'v'.repeat(99)}\n`.repeat(999)}`;
  return {
    sql: `COPY public.${name.name} FROM STDIN`,
    values: [],
    copyData: Buffer.from(lines),
    expect: 1000,
    table: { name, source: name, relation: name, fires: false },
    operation: 'insert',
    key: null,
  } as unknown as Planned;
}

const countOf = async (db: TestDatabase) =>
  db.session.one('SELECT (SELECT count(*) FROM a)::text AS a, (SELECT count(*) FROM b)::text AS b');

describe('a window spread over two lanes', () => {
  const accounts = () =>
    new Map([
      ['public.a', { ...emptyAccount(), received: 1000, applied: 1000, inserts: 1000 }],
      ['public.b', { ...emptyAccount(), received: 1000, applied: 1000, inserts: 1000 }],
    ]);

  async function twoTables(db: TestDatabase): Promise<ApplierOptions> {
    const fence = await taskOn(db);
    await db.session.query("CREATE TABLE a (v text); CREATE TABLE b (v text CHECK (v <> 'bad'))");
    return applierOptions(db, fence);
  }

  it('is whole, and its accounts are, when all have committed', async () => {
    await using db = await freshDatabase(17);
    const options = await twoTables(db);
    await using applier = await Applier.open(options);
    await applier.applyWindow([copyInto(A), copyInto(B)], false, { ...at(200n), accounts: accounts() });
    expect(await countOf(db)).toEqual({ a: '1000', b: '1000' });
    expect(applier.positions.areEven).toBe(true);
    expect(
      await db.session.one(
        'SELECT max(writes)::text AS most, min(writes)::text AS least, sum(commits)::text AS commits FROM _opendts.lane',
      ),
    ).toEqual({ most: '2', least: '2', commits: '1' });
    expect(
      (await readAccounts(db.session, 't')).map(({ table, applied }) => `${table} ${applied}`).toSorted(),
    ).toEqual(['public.a 1000', 'public.b 1000']);
  });

  it('leaves the table ahead whose lane has committed when the others break off, until they are there too', async () => {
    await using db = await freshDatabase(17);
    const options = await twoTables(db);
    const breaks = {
      pass: (name: string) => {
        if (name === 'apply.between-lanes') throw new Error('broken off');
      },
    };
    await using breaking = await Applier.open({ ...options, failpoints: breaks });
    const end = { ...at(200n), accounts: accounts() };
    await expect(breaking.applyWindow([copyInto(A), copyInto(B)], false, end)).rejects.toThrow('broken off');
    await using next = await Applier.open(options);
    const count = await countOf(db);
    const [ahead, other] = count.a === '1000' ? [A, B] : [B, A];
    expect(new Set(Object.values(count))).toEqual(new Set(['0', '1000']));
    expect(next.recorded).toBe(100n);
    expect(next.positions.of(ahead)).toBe(200n);
    expect(next.positions.of(other)).toBe(100n);
    expect(next.positions.all).toEqual([100n, 200n]);
    await next.applyWindow([copyInto(other)], false, at(200n));
    expect(await countOf(db)).toEqual({ a: '1000', b: '1000' });
    expect([next.positions.of(ahead), next.positions.areEven]).toEqual([200n, true]);
    await using last = await Applier.open(options);
    expect([last.recorded, last.positions.areEven]).toEqual([200n, true]);
  });

  it('commits nothing where one of them is refused', async () => {
    await using db = await freshDatabase(17);
    const options = await twoTables(db);
    await using applier = await Applier.open(options);
    const work = applier.applyWindow([copyInto(A), copyInto(B, 'bad')], false, {
      ...at(200n),
      accounts: accounts(),
    });
    await expect(work).rejects.toBeInstanceOf(ApplyRefused);
    expect(await countOf(db)).toEqual({ a: '0', b: '0' });
    expect(await readAccounts(db.session, 't')).toEqual([]);
  });

  it('goes through one lane where the target has no session left for another', async () => {
    await using db = await freshDatabase(17);
    const options = await twoTables(db);
    const none = () =>
      Promise.reject(
        new AppError(
          'CONNECT_FAILED',
          { side: 'target', endpoint: 'e', problem: 'p', remedy: 'r' },
          new PgError({ sqlstate: '53300', severity: 'FATAL', message: 'too many' }),
        ),
      );
    let opened = 0;
    await using applier = await Applier.open({
      ...options,
      openSession: () => (opened++ === 0 ? options.openSession() : none()),
    });
    await applier.applyWindow([copyInto(A), copyInto(B)], false, at(200n));
    await applier.applyWindow([copyInto(A), copyInto(B)], false, at(300n));
    expect(await countOf(db)).toEqual({ a: '2000', b: '2000' });
    expect(opened).toBe(2);
  });
});

describe('a small window, which goes in one round trip', () => {
  const update = (expects: number, more: Partial<Planned> = {}) =>
    ({
      ...INSERT,
      sql: 'UPDATE public.t SET v = v + 1',
      expect: expects,
      operation: 'update',
      ...more,
    }) as Planned;

  async function oneRow(db: TestDatabase): Promise<Applier> {
    const fence = await taskOn(db);
    await db.session.query('INSERT INTO t VALUES (1)');
    return Applier.open(applierOptions(db, fence));
  }

  const left = async (db: TestDatabase) =>
    db.session.one(
      "SELECT (SELECT string_agg(v::text, ' ' ORDER BY v) FROM t) AS rows, (SELECT end_lsn::text FROM _opendts.lane WHERE lane = 0) AS lsn",
    );

  it('is applied with its position', async () => {
    await using db = await freshDatabase(17);
    await using applier = await oneRow(db);
    await applier.applyWindow([update(1), INSERT, update(2)], false, at(200n));
    await applier.recordIdle(lsnFrom(201n));
    expect(await left(db)).toEqual({ rows: '2 3', lsn: '0/C9' });
    expect(applier.recorded).toBe(201n);
  });

  it('may be reported once a commit has waited for the disk (P9)', async () => {
    await using db = await freshDatabase(17);
    await using applier = await oneRow(db);
    await applier.applyWindow([update(1), INSERT], false, at(200n));
    expect([applier.recorded, applier.durable]).toEqual([200n, 100n]);
    await applier.flush();
    expect(applier.durable).toBe(200n);
    const { lsn } = await left(db);
    expect(lsn).toBe('0/C8');
  });

  it('leaves nothing where a statement touches another number of rows, and names it (P11)', async () => {
    await using db = await freshDatabase(17);
    await using applier = await oneRow(db);
    const work = applier.applyWindow([INSERT, update(3), INSERT], false, at(200n));
    await expect(work).rejects.toMatchObject({ name: 'RowCountDiffers', planned: { expect: 3 } });
    expect(await left(db)).toEqual({ rows: '1', lsn: '0/64' });
    await applier.applyWindow([update(1)], false, at(200n));
    expect(await left(db)).toEqual({ rows: '2', lsn: '0/C8' });
  });

  it('leaves nothing where the data are refused', async () => {
    await using db = await freshDatabase(17);
    await using applier = await oneRow(db);
    await db.session.query('ALTER TABLE t ADD CHECK (v < 3)');
    const refused = update(1, { sql: 'UPDATE public.t SET v = 9' });
    await expect(applier.applyWindow([INSERT, refused], false, at(200n))).rejects.toBeInstanceOf(
      ApplyRefused,
    );
    expect(await left(db)).toEqual({ rows: '1', lsn: '0/64' });
  });

  it('is judged from here where rows go by COPY, which something on the target may keep away unseen (P11)', async () => {
    await using db = await freshDatabase(17);
    await using applier = await oneRow(db);
    await db.session
      .query(`CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN CASE NEW.v WHEN 8 THEN NULL ELSE NEW END; END';
      CREATE TRIGGER away BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION away(); ALTER TABLE t ENABLE ALWAYS TRIGGER away`);
    const copy = { ...INSERT, sql: 'COPY public.t FROM STDIN', copyData: Buffer.from('7\n8\n'), expect: 2 };
    await expect(applier.applyWindow([copy], false, at(200n))).rejects.toMatchObject({
      name: 'RowCountDiffers',
    });
    expect(await left(db)).toEqual({ rows: '1', lsn: '0/64' });
  });

  it.each([true, false])(
    'of lanes that were opened anew since leaves nothing (P9), waiting for the disk: %s',
    async (isDurable) => {
      await using db = await freshDatabase(17);
      const fence = await taskOn(db);
      await using lost = await Applier.open(applierOptions(db, fence));
      await using next = await Applier.open(applierOptions(db, fence));
      const window = { ...at(200n), isDurable };
      await expect(lost.applyWindow([INSERT], false, window)).rejects.toMatchObject({ code: 'LANE_MOVED' });
      expect(await left(db)).toEqual({ rows: null, lsn: '0/64' });
      await next.applyWindow([INSERT], false, window);
      expect(await left(db)).toEqual({ rows: '1', lsn: '0/C8' });
    },
  );

  it('of a former owner leaves nothing (I7)', async () => {
    await using db = await freshDatabase(17);
    await using applier = await oneRow(db);
    await takeOver(db.session, 't');
    await expect(applier.applyWindow([update(1)], false, at(200n))).rejects.toMatchObject({ code: 'FENCED' });
    expect(await left(db)).toEqual({ rows: '1', lsn: '0/64' });
  });
});

it('an applier of a former owner applies nothing (I7)', async () => {
  await using db = await freshDatabase(17);
  const fence = await taskOn(db);
  await using applier = await Applier.open(applierOptions(db, fence));
  await takeOver(db.session, 't');
  await expect(applier.applyPart([INSERT], false)).rejects.toMatchObject({ code: 'FENCED' });
  expect(await db.session.one('SELECT count(*)::text AS n FROM t')).toEqual({ n: '0' });
});

it('a unit whose commit arrives although its answer was lost is not copied a second time (P4)', async () => {
  await using db = await freshDatabase(17);
  const fence = await taskOn(db);
  await using lost = await openChunkWriter(() => db.open());
  await using next = await openChunkWriter(() => db.open());
  const load0: LoadPlan = { columns: [], binary: false, before: null, copyIn: '', after: null, leftOut: [] };
  const chunk = (id: string) => ({ id, load: load0 });
  const write = {
    taskId: 't',
    // A task's copy fence rises with its fence.
    copyFence: fence,
    chunks: [chunk('u')],
    snapshot: null,
    readUntil: null,
    beforeCommit: () => {},
  };
  const load = async (writer: typeof lost) => {
    await writer.session.query('INSERT INTO public.t VALUES (1)');
    return { rowsIn: 1, bytes: 5 };
  };
  // The first stands before its commit while the second, which takes it for dead, does the same work.
  const reached = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const first = lost.write({ ...write, chunks: [chunk('u'), chunk('v')] }, async (unit) => {
    if (unit === 'v') {
      reached.resolve();
      await goOn.promise;
    }
    return load(lost);
  });
  await reached.promise;
  const second = next.write(write, async () => {
    goOn.resolve();
    await first;
    return load(next);
  });
  await expect(second).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  expect(await next.write(write, () => load(next))).toMatchObject([{ id: 'u', rows: 1n }]);
  expect(await db.session.one('SELECT count(*)::text AS n FROM t')).toEqual({ n: '2' });
});

/** The builds of indexes as a running migration tells them, and that looking at them disturbs nothing. */
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { pause, reaches } from '../../../test/follow.ts';
import { start } from '../../../test/migration.ts';
import { readIndexBuilds } from '../../engine/schema/run/index-builds.ts';
import type { Session } from '../../engine/pg/session.ts';
import { Ends } from './ends.ts';
import { watchIndexBuilds } from './index-watch.ts';
import { ProgressBook } from './progress-book.ts';

const LOCK = 4711;

/** A table whose index stops halfway through the rows for as long as somebody holds the lock. */
async function withGate(db: TestDatabase): Promise<void> {
  await db.session.query(`
    CREATE FUNCTION public.gate(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
      BEGIN IF i = 25000 THEN PERFORM pg_catalog.pg_advisory_xact_lock_shared(${LOCK}); END IF; RETURN i; END $$;
    CREATE TABLE public.item (id int, name text);
    INSERT INTO public.item SELECT i, 'item ' || i FROM generate_series(1, 50000) i;
    ANALYZE public.item`);
}

async function until<T>(look: () => Promise<T> | T, isSo: (seen: T) => boolean): Promise<T> {
  for (const started = Date.now(); ; await pause(20)) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (Date.now() - started > 30_000) throw new Error(`waited in vain, last: ${JSON.stringify(seen)}`);
  }
}

const holdLock = (session: Session) => session.query(`SELECT pg_catalog.pg_advisory_lock(${LOCK})`);
const freeLock = (session: Session) => session.query(`SELECT pg_catalog.pg_advisory_unlock(${LOCK})`);

describe('the builds of indexes', () => {
  it.each([12, 15, 17, 18] as const)(
    'are told by table, phase and share on PostgreSQL %i, for sessions of this name',
    async (major) => {
      await using db = await freshDatabase(major);
      await withGate(db);
      await holdLock(db.session);
      await using builder = await db.open({ role: 'index' });
      const built = builder.query('CREATE INDEX "odd ""name" ON public.item (public.gate(id))');
      await using looker = await db.open();
      const builds = await until(
        () => readIndexBuilds(looker, 'test:index'),
        ([one]) => (one?.share ?? 0) > 0.45,
      );
      expect(builds).toEqual([
        { table: 'public.item', index: 'odd "name', phase: 'scanning table', share: expect.closeTo(0.5, 1) },
      ]);
      expect(await readIndexBuilds(looker, 'test:other')).toEqual([]);
      await freeLock(db.session);
      await built;
      expect(await readIndexBuilds(looker, 'test:index')).toEqual([]);
    },
  );

  it('are part of the progress while a migration builds them, and not after', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(18);
    await withGate(source);
    await source.session.query('CREATE INDEX ON public.item (public.gate(id))');
    await holdLock(target.session);
    const migration = start(source, target, { types: ['schema', 'full'] });
    await reaches(migration, 'index');
    const { indexBuilds } = await until(
      () => migration.progress(),
      (progress) => progress.indexBuilds.length > 0,
    );
    expect(indexBuilds).toMatchObject([
      { table: 'public.item', index: 'item_gate_idx', phase: 'scanning table' },
    ]);
    await freeLock(target.session);
    expect(await migration.finished).toMatchObject({
      outcome: 'completed',
      formats: { binary: 1, text: 0 },
      kept: [],
      copiedLater: [],
    });
    expect(migration.progress()).toMatchObject({
      indexBuilds: [],
      copy: { share: 1, rows: 50_000n, rowsEstimate: 50_000n, etaSeconds: { low: 0, high: 0 } },
    });
  });
});

describe('the watch on index builds', () => {
  it('that hangs holds nobody up, and is cut', async () => {
    await using db = await freshDatabase(15);
    await using ends = new Ends(db.info, db.info);
    const { pid } = await ends.target();
    const book = new ProgressBook();
    await db.session.query('BEGIN; LOCK TABLE pg_catalog.pg_namespace IN ACCESS EXCLUSIVE MODE');
    const watch = watchIndexBuilds({ ends, book, taskId: 't' });
    const waits = `SELECT count(*)::text AS n FROM pg_catalog.pg_locks WHERE NOT granted AND pid = ${pid}`;
    await until(
      () => db.session.one(waits),
      ({ n }) => n === '1',
    );
    const before = performance.now();
    await watch[Symbol.asyncDispose]();
    expect(performance.now() - before).toBeLessThan(1000);
    expect(book.indexBuilds).toEqual([]);
    await db.session.query('ROLLBACK');
    // Whoever asks next gets a session that answers.
    expect((await ends.target()).pid).not.toBe(pid);
  });

  it('that fails asks again', async () => {
    await using db = await freshDatabase(15);
    await withGate(db);
    await holdLock(db.session);
    await using ends = new Ends(db.info, db.info);
    const first = await ends.target();
    const book = new ProgressBook();
    const watch = watchIndexBuilds({ ends, book, taskId: 'new' });
    await db.session.query('SELECT pg_catalog.pg_terminate_backend($1::int)', [String(first.pid)]);
    await using builder = await ends.openTarget('index');
    const built = builder.query('CREATE INDEX ON public.item (public.gate(id))');
    await until(
      () => book.indexBuilds,
      (builds) => builds.length > 0,
    );
    await freeLock(db.session);
    await built;
    await watch[Symbol.asyncDispose]();
    expect(book.indexBuilds).toEqual([]);
  });
});

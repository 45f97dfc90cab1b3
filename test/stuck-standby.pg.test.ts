/**
 * A commit that waits for a synchronous standby is in the change stream, but no other snapshot sees it yet (data-plane I2): a copy that is
 * taken beside the stream at that moment must not miss it.
 */
import { describe, expect, it } from 'vitest';
import type { Session } from '../src/engine/pg/session.ts';
import { chooseForTable, readStoppedTables } from '../src/engine/target/books/stopped-tables.ts';
import { canHold, holdNextCommit } from './held-commit.ts';
import { freshDatabase, type DatabasePair } from './database.ts';
import { follow, pause } from './follow.ts';
import { compare, start } from './migration.ts';
import { ownServer } from './own-server.ts';

const TABLES = `
  CREATE TABLE keyed (id int PRIMARY KEY, v text); INSERT INTO keyed SELECT i, 'v' FROM generate_series(1, 50) i;
  CREATE TABLE loose (n int); INSERT INTO loose SELECT i % 5 FROM generate_series(1, 50) i`;

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    if (await what()) return;
    await pause(50);
  }
  throw new Error('it did not come to that');
}

const taskOf = async ({ target }: DatabasePair) =>
  (await target.session.one('SELECT task_id FROM _opendts.task')).task_id ?? '';
const stopped = async (pair: DatabasePair) => readStoppedTables(pair.target.session, await taskOf(pair));

/** From now on commits wait for a standby that does not exist, but for those of sessions that need not. */
async function loseStandby({ source }: DatabasePair): Promise<void> {
  await source.session.query('SET synchronous_commit = local');
  await source.session.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  await source.session.query('SELECT pg_reload_conf()');
  await pause(300);
}

/** A transaction whose commit waits; the result ends the wait. */
async function stuckCommit(pair: DatabasePair, statements: string): Promise<() => Promise<void>> {
  const { source } = pair;
  const waiting = async () =>
    (await source.session.query("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).length;
  const before = await waiting();
  const session: Session = await source.open();
  await session.query('SET search_path = public; SET synchronous_commit = on');
  const committing = session.query(`BEGIN; ${statements}; COMMIT`);
  await until(async () => (await waiting()) > before);
  return async () => {
    await source.session.query(`SELECT pg_cancel_backend(${session.pid})`);
    await committing;
    await session.end();
  };
}

/** Table loose stops, because the target lacks a row. */
async function stopLoose(pair: DatabasePair): Promise<void> {
  await pair.target.session.query('DELETE FROM loose WHERE n = 3');
  await pair.source.session.query(
    'DELETE FROM loose WHERE ctid = (SELECT ctid FROM loose WHERE n = 3 LIMIT 1)',
  );
  await until(async () => (await stopped(pair)).length === 1);
}

const recopyLoose = async (pair: DatabasePair) =>
  chooseForTable(pair.target.session, await taskOf(pair), {
    table: { schema: 'public', name: 'loose' },
    choice: 'recopy',
  });

const countOf = async ({ target }: DatabasePair, table: string) =>
  Number((await target.session.one(`SELECT count(*)::text AS n FROM ${table}`)).n);

describe.each([12, 18] as const)('a commit that waits for a standby, on PostgreSQL %i', (major) => {
  it('is in the copy that is taken meanwhile, once: its snapshot waits until it sees all that the stream has brought', async () => {
    await using server = await ownServer(major);
    await using target = await freshDatabase(18);
    const pair = { source: server.database, target } as unknown as DatabasePair;
    await server.database.session.query(TABLES);
    const running = await follow(server.database, target);
    await stopLoose(pair);
    await loseStandby(pair);
    const release = await stuckCommit(
      pair,
      "INSERT INTO loose VALUES (7), (7); DELETE FROM loose WHERE n = 1; UPDATE keyed SET v = 'stuck'",
    );
    // It is in the stream already: the table that does not stand still has it.
    await until(
      async () => (await target.session.query("SELECT FROM keyed WHERE v = 'stuck'")).length === 50,
    );
    expect((await server.database.session.query("SELECT FROM keyed WHERE v = 'stuck'")).length).toBe(0);
    await recopyLoose(pair);
    await until(async () => (await stopped(pair)).length === 0);
    // Later commits neither wait nor may they be held up.
    await server.database.session.query(
      "INSERT INTO loose VALUES (7), (8); INSERT INTO keyed VALUES (99, 'later')",
    );
    await until(async () => (await target.session.query('SELECT FROM keyed WHERE id = 99')).length === 1);
    await pause(1_500);
    expect(await countOf(pair, 'loose')).toBe(0);
    await release();
    await until(async () => (await countOf(pair, 'loose')) > 0);
    await server.database.session.query('INSERT INTO loose VALUES (8)');
    await running.catchUp();
    expect((await compare(server.database, target)).differing).toEqual([]);
  });

  it('is in it also when a run before has received it', async () => {
    await using server = await ownServer(major);
    await using target = await freshDatabase(18);
    const pair = { source: server.database, target } as unknown as DatabasePair;
    await server.database.session.query(TABLES);
    const stop = new AbortController();
    const running = await follow(server.database, target, { signal: stop.signal });
    await stopLoose(pair);
    await loseStandby(pair);
    const release = await stuckCommit(
      pair,
      "INSERT INTO loose VALUES (7), (7); UPDATE keyed SET v = 'stuck'",
    );
    await until(
      async () => (await target.session.query("SELECT FROM keyed WHERE v = 'stuck'")).length === 50,
    );
    stop.abort();
    await running.migration.finished;
    await recopyLoose(pair);
    const again = start(server.database, target, { until: { kind: 'caught-up' } });
    await until(async () => (await stopped(pair)).length === 0);
    await pause(2_000);
    expect(await countOf(pair, 'loose')).toBe(0);
    await release();
    await again.finished;
    expect((await compare(server.database, target)).differing).toEqual([]);
  });

  it.runIf(canHold)(
    'as does one that is not even in the commit log, whose rows a reader would take for those of a failed transaction',
    async () => {
      await using server = await ownServer(major);
      await using target = await freshDatabase(18);
      const { session } = server.database;
      const pair = { source: server.database, target } as unknown as DatabasePair;
      await session.query(TABLES);
      const running = await follow(server.database, target);
      await stopLoose(pair);
      await using stuck = await server.database.open();
      await stuck.query(
        "BEGIN; INSERT INTO public.loose VALUES (7), (7); UPDATE public.keyed SET v = 'stuck'",
      );
      await using commit = await holdNextCommit(stuck.pid);
      const committing = stuck.query('COMMIT');
      await commit.held;
      await until(
        async () => (await target.session.query("SELECT FROM keyed WHERE v = 'stuck'")).length === 50,
      );
      await recopyLoose(pair);
      await until(async () => (await stopped(pair)).length === 0);
      await pause(1_500);
      expect(await countOf(pair, 'loose')).toBe(0);
      await commit.release();
      await committing;
      await until(async () => (await countOf(pair, 'loose')) > 0);
      await running.catchUp();
      expect((await compare(server.database, target)).differing).toEqual([]);
    },
  );
});

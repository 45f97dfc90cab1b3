/** A table that cannot go on stands still while the others do; it catches up, or is copied again, as a person chooses. */
import { expect, it } from 'vitest';
import { freshPair, type DatabasePair } from './database.ts';
import { follow, pause } from './follow.ts';
import { compare, migrate } from './migration.ts';
import {
  chooseForTable,
  readStoppedTables,
  type TableChoice,
} from '../src/engine/target/books/stopped-tables.ts';

const TABLES = `
  CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT i, 'v' FROM generate_series(1, 50) i;
  CREATE TABLE b (id int PRIMARY KEY, v text); INSERT INTO b SELECT i, 'v' FROM generate_series(1, 50) i;
  CREATE TABLE c (n int); INSERT INTO c VALUES (1), (1), (2)`;

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await what()) return;
    await pause(50);
  }
  throw new Error('it did not come to that');
}

async function taskOf({ target }: DatabasePair): Promise<string> {
  return (await target.session.one('SELECT task_id FROM _opendts.task')).task_id ?? '';
}

const stopped = async (pair: DatabasePair) => readStoppedTables(pair.target.session, await taskOf(pair));

async function choose(pair: DatabasePair, name: string, choice: TableChoice): Promise<void> {
  const table = { schema: 'public', name };
  expect(await chooseForTable(pair.target.session, await taskOf(pair), { table, choice })).toBe(true);
}

/** Table a stops at the update of a row that the target lacks; changes of all tables go on. */
async function stopA(pair: DatabasePair): Promise<void> {
  const { source, target } = pair;
  await target.session.query('DELETE FROM a WHERE id = 7');
  await source.session.query("UPDATE a SET v = 'w' WHERE id IN (6, 7, 8)");
  await until(async () => (await stopped(pair)).length === 1);
  for (let turn = 0; turn < 5; turn++) {
    await source.session.query(
      `BEGIN; UPDATE a SET v = v || '${turn}' WHERE id < 10; UPDATE b SET v = '${turn}' WHERE id = ${turn + 1}; INSERT INTO c VALUES (1); DELETE FROM c WHERE ctid = (SELECT ctid FROM c WHERE n = 1 LIMIT 1); COMMIT`,
    );
  }
  await until(async () => (await target.session.one('SELECT v FROM b WHERE id = 5')).v === '4');
  expect((await target.session.one('SELECT v FROM a WHERE id = 6')).v).toBe('v');
}

it('catches up from where it stopped once the row is back, and then goes on with the others', async () => {
  await using pair = await freshPair(17, 15, TABLES);
  const running = await follow(pair.source, pair.target);
  await stopA(pair);
  const [one] = await stopped(pair);
  expect(one).toMatchObject({ table: { name: 'a' }, code: 'ROW_MISSING', choice: null });
  await pair.target.session.query("INSERT INTO a VALUES (7, 'v')");
  await choose(pair, 'a', 'retry');
  await until(async () => (await stopped(pair)).length === 0);
  await pair.source.session.query("UPDATE a SET v = 'end' WHERE id = 1");
  await running.catchUp();
  expect((await compare(pair.source, pair.target)).differing).toEqual([]);
});

it('stops again at the same place when the cause is still there', async () => {
  await using pair = await freshPair(17, 15, TABLES);
  const running = await follow(pair.source, pair.target);
  await stopA(pair);
  const [before] = await stopped(pair);
  await choose(pair, 'a', 'retry');
  await until(async () => (await stopped(pair))[0]?.choice === null);
  expect((await stopped(pair))[0]?.endLsn).toBe(before?.endLsn);
  await expect(running.catchUp()).rejects.toMatchObject({ code: 'TABLES_STOPPED', facts: { count: 1 } });
});

it('is copied again beside the others, and the slot need not wait for it any more', async () => {
  await using pair = await freshPair(17, 15, TABLES);
  const { source, target } = pair;
  const running = await follow(source, target);
  await stopA(pair);
  await choose(pair, 'a', 'recopy');
  await until(async () => (await target.session.query('SELECT v FROM a WHERE id = 6'))[0]?.v === 'w01234');
  await source.session.query("UPDATE a SET v = 'end' WHERE id IN (1, 7)");
  await running.catchUp();
  expect((await compare(source, target)).differing).toEqual([]);
});

it('keeps its changes in the slot over any number of runs, which the others do not get twice', async () => {
  await using pair = await freshPair(18, 18, TABLES);
  const { source, target } = pair;
  await migrate(source, target);
  await target.session.query('DELETE FROM a WHERE id = 7');
  for (let turn = 0; turn < 3; turn++) {
    await source.session.query(
      `UPDATE a SET v = v || '${turn}'; INSERT INTO c SELECT 3 FROM generate_series(1, 3); UPDATE b SET v = v || '${turn}'`,
    );
    await expect(migrate(source, target)).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
    const { differing } = await compare(source, target);
    expect(differing.map(({ table }) => table)).toEqual(['public.a']);
  }
  await target.session.query("INSERT INTO a VALUES (7, 'v')");
  await migrate(source, target);
  expect((await compare(source, target)).differing).toEqual([]);
});

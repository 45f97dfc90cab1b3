/** DDL on the source while changes are followed (C10): the table stops at it, named with its text, and goes on as a person chooses. */
import { describe, expect, it } from 'vitest';
import { freshPair, type DatabasePair } from './database.ts';
import { follow, pause } from './follow.ts';
import { compare } from './migration.ts';
import {
  chooseForTable,
  readStoppedTables,
  type TableChoice,
} from '../src/engine/target/books/stopped-tables.ts';

const TABLES = `CREATE TABLE a (id int PRIMARY KEY, v text, w int); INSERT INTO a SELECT i, 'v', i FROM generate_series(1, 9) i;
  CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, v varchar(5))`;

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

async function choose(pair: DatabasePair, name: string, choice: TableChoice): Promise<void> {
  const table = { schema: 'public', name };
  expect(await chooseForTable(pair.target.session, await taskOf(pair), { table, choice })).toBe(true);
}

describe.each([
  { major: 12, captureDdl: 'auto' },
  { major: 15, captureDdl: 'off' },
  { major: 18, captureDdl: 'auto' },
] as const)('with DDL capture $captureDdl on PostgreSQL $major', ({ major, captureDdl }) => {
  it('a column added, one dropped and one renamed stop the table before them, and it goes on once the target has them', async () => {
    await using pair = await freshPair(major, 15, TABLES);
    const { source, target } = pair;
    const running = await follow(source, target, { captureDdl });
    const commands = [
      { sql: 'ALTER TABLE a ADD COLUMN n int', change: "INSERT INTO a VALUES (10, 'new', 1, 7)" },
      { sql: 'ALTER TABLE a DROP COLUMN w', change: "INSERT INTO a VALUES (11, 'new', 8)" },
      { sql: 'ALTER TABLE a RENAME COLUMN v TO x', change: "UPDATE a SET x = x || '!'" },
    ];
    for (const { sql, change } of commands) {
      await source.session.query('UPDATE a SET id = id WHERE id = 1');
      await source.session.query(sql);
      await source.session.query(`${change}; INSERT INTO b SELECT count(*) FROM b`);
      await until(async () => (await stopped(pair)).length === 1);
      const [one] = await stopped(pair);
      expect(one?.code).toBe(captureDdl === 'auto' ? 'DDL_SEEN' : 'RELATION_CHANGED');
      if (captureDdl === 'auto') expect(one?.reason).toContain(sql);
      await target.session.query(sql);
      await choose(pair, 'a', 'retry');
      await until(async () => (await stopped(pair)).length === 0);
    }
    await running.catchUp();
    expect((await compare(source, target)).differing).toEqual([]);
  });
});

it('a wider type is seen before a value that would not fit; other commands are told and stop nothing', async () => {
  await using pair = await freshPair(17, 17, TABLES);
  const { source, target } = pair;
  const running = await follow(source, target, { captureDdl: 'auto' });
  await source.session.query('CREATE INDEX a_v ON a (v); ALTER TABLE a ALTER COLUMN w SET DEFAULT 5');
  await source.session.query("INSERT INTO a VALUES (20, 'x')");
  await until(async () => (await target.session.query('SELECT FROM a WHERE id = 20')).length === 1);
  expect(await stopped(pair)).toEqual([]);
  expect(running.events.map(({ message }) => message).join('\n')).toContain('CREATE INDEX a_v ON a (v)');
  await source.session.query(
    "ALTER TABLE c ALTER COLUMN v TYPE varchar(50); INSERT INTO c VALUES (1, 'longer than five')",
  );
  await until(async () => (await stopped(pair)).length === 1);
  expect((await stopped(pair))[0]).toMatchObject({ table: { name: 'c' }, code: 'DDL_SEEN' });
  await target.session.query('ALTER TABLE c ALTER COLUMN v TYPE varchar(50)');
  await choose(pair, 'c', 'retry');
  await until(async () => (await stopped(pair)).length === 0);
  await running.catchUp();
  expect((await compare(source, target)).differing).toEqual([]);
});

it('a table that is to stay as it is goes on without the column, and one that is copied again follows without it', async () => {
  await using pair = await freshPair(17, 15, TABLES);
  const { source, target } = pair;
  const running = await follow(source, target, { captureDdl: 'auto' });
  await source.session.query("ALTER TABLE a ADD COLUMN n int; INSERT INTO a VALUES (10, 'new', 1, 7)");
  await until(async () => (await stopped(pair)).length === 1);
  await choose(pair, 'a', 'as-is');
  await until(async () => (await stopped(pair)).length === 0);
  await source.session.query("UPDATE a SET v = 'w', n = 3 WHERE id = 10");
  await running.catchUp();
  expect(await target.session.query('SELECT id, v, w FROM a WHERE id = 10')).toEqual([
    { id: '10', v: 'w', w: '1' },
  ]);
});

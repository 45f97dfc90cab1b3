/** A migration whose source's columns change: what the tests of that share. */
import { expect } from 'vitest';
import type { DatabasePair, TestDatabase } from './database.ts';
import { pause, type Following } from './follow.ts';
import { compare } from './migration.ts';
import {
  chooseForTable,
  readStoppedTables,
  type StoppedTable,
  type TableChoice,
} from '../src/engine/target/books/stopped-tables.ts';

export const TABLES = `CREATE TABLE a (id int PRIMARY KEY, v text, w int NOT NULL, c varchar(5), p numeric(5,2), t timestamp(0));
  INSERT INTO a SELECT i, 'v' || i, i, 'c' || i, i / 4.0, now() FROM generate_series(1, 9) i;
  CREATE TABLE b (id int PRIMARY KEY)`;

export async function until(what: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    if (await what()) return;
    await pause(50);
  }
  throw new Error('it did not come to that');
}

const taskOf = async ({ target }: DatabasePair) =>
  (await target.session.one('SELECT task_id FROM _opendts.task')).task_id ?? '';
export const stopped = async (pair: DatabasePair): Promise<StoppedTable[]> =>
  readStoppedTables(pair.target.session, await taskOf(pair));

export async function choose(pair: DatabasePair, name: string, choice: TableChoice): Promise<void> {
  const table = { schema: 'public', name };
  expect(await chooseForTable(pair.target.session, await taskOf(pair), { table, choice })).toBe(true);
}

/** Name, type, NOT NULL, default and generation of the columns of a table. */
export async function columns({ session }: TestDatabase, table = 'a'): Promise<unknown[]> {
  return session.query(
    `SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, a.attgenerated,
            (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) AS expression
       FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname`,
    [table],
  );
}

export async function expectSame({ source, target }: DatabasePair, ...tables: string[]): Promise<void> {
  expect((await compare(source, target)).differing).toEqual([]);
  for (const table of ['a', ...tables])
    expect(await columns(target, table)).toEqual(await columns(source, table));
}

/** Waits until the table stands still for a person, and for what reason. */
export async function stopsFor(pair: DatabasePair, reason: RegExp): Promise<void> {
  await until(async () =>
    (await stopped(pair)).some((one) => one.choice === null && reason.test(one.reason)),
  );
}

export const told = ({ events }: Following) => events.map(({ message }) => message).join('\n');

/** Changes that are repeated, and rows that need them. */
export const SAFE = [
  [
    'ALTER TABLE a ADD COLUMN n int',
    'INSERT INTO a (id, w, n) VALUES (10, 1, 7); UPDATE a SET n = id WHERE id < 4',
  ],
  ["ALTER TABLE a ADD COLUMN m text NOT NULL DEFAULT 'it''s \\ 5'", 'INSERT INTO a (id, w) VALUES (11, 2)'],
  ['ALTER TABLE a ADD COLUMN at timestamptz DEFAULT now()', 'INSERT INTO a (id, w) VALUES (12, 2)'],
  [
    'ALTER TABLE a ADD COLUMN l int[] DEFAULT ARRAY[1, 2], ADD COLUMN j jsonb',
    'UPDATE a SET w = 3 WHERE id = 2',
  ],
  ['ALTER TABLE a DROP COLUMN w', "INSERT INTO a (id, v) VALUES (13, 'x')"],
  ['ALTER TABLE a RENAME COLUMN v TO x', "UPDATE a SET x = x || '!'"],
  ['ALTER TABLE a ALTER COLUMN c TYPE varchar(50)', "UPDATE a SET c = repeat('c', 40) WHERE id = 5"],
  [
    'ALTER TABLE a ALTER COLUMN n TYPE bigint, ALTER COLUMN p TYPE numeric(9,2)',
    'UPDATE a SET n = 5000000000, p = 1234567.25 WHERE id = 6',
  ],
  ['ALTER TABLE a ALTER COLUMN t TYPE timestamp', 'UPDATE a SET t = now() WHERE id = 7'],
] as const;

/** Which changes of the source are followed, by task, schema and table (C1). */
import { describe, expect, it } from 'vitest';
import { OPERATIONS, type Operation } from '../src/contract/task-spec.ts';
import { freshPair, type TestDatabase } from './database.ts';
import { follow } from './follow.ts';
import type { RunOptions } from './migration.ts';

const NAMES = ['a.t', 'a.u', 'b.t'] as const;
const TABLES = `CREATE SCHEMA a; CREATE SCHEMA b; ${NAMES.map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, v text); INSERT INTO ${name} VALUES (1, 'a'), (2, 'b')`).join(';')}`;

async function content(db: TestDatabase, table: string): Promise<string> {
  const rows = await db.session.query(`SELECT id, v FROM ${table} ORDER BY id, v`);
  return rows.map(({ id, v }) => `${id}${v}`).join(' ');
}

/** What each table holds on the target once these changes of the source were followed so; `$` stands for each table. */
async function followed(
  options: Pick<RunOptions, 'operations' | 'rules'>,
  changes: readonly string[],
  sql = TABLES,
): Promise<string[]> {
  await using ends = await freshPair(15, 18, sql);
  const { source, target } = ends;
  const following = await follow(source, target, options);
  for (const change of changes)
    for (const name of NAMES) await source.session.query(change.replaceAll('$', name));
  await following.catchUp();
  // A batch that fails is tried again in order: that would hide what sets do wrong.
  expect(following.events.filter(({ message }) => message.includes('did not apply'))).toEqual([]);
  const [account] = await target.session.query(
    `SELECT bool_and(received = applied + folded + filtered + invisible + repeated + dead)::text AS balanced FROM _opendts.account`,
  );
  expect(account?.balanced).toBe('true');
  return await Promise.all(NAMES.map((name) => content(target, name)));
}

const CHANGES = [
  "INSERT INTO $ VALUES (3, 'c')",
  "UPDATE $ SET v = 'B' WHERE id = 2",
  'DELETE FROM $ WHERE id = 1',
];

describe('operations that are followed', () => {
  it.each([
    [['insert'], '1a 2b 3c'],
    [['update'], '1a 2B'],
    [['delete'], '2b'],
    [['insert', 'update'], '1a 2B 3c'],
    [['insert', 'delete'], '2b 3c'],
    [['update', 'delete', 'truncate'], '2B'],
    [OPERATIONS, '2B 3c'],
  ] as [readonly Operation[], string][])('of the whole task: %j', async (operations, expected) => {
    expect(await followed({ operations }, CHANGES)).toEqual([expected, expected, expected]);
  });

  it('may differ by schema and by table: a later rule wins', async () => {
    const rules = [
      { tables: 'a.*', operations: ['insert' as const] },
      { tables: 'a.u', operations: ['delete' as const] },
    ];
    expect(await followed({ operations: ['update'], rules }, CHANGES)).toEqual(['1a 2b 3c', '2b', '1a 2B']);
  });

  it('without TRUNCATE leave the rows, and what comes after replaces those of its keys', async () => {
    const operations = ['insert', 'update', 'delete'] as const;
    const changes = [
      'TRUNCATE $',
      "INSERT INTO $ VALUES (2, 'new'), (5, 'x')",
      "UPDATE $ SET v = 'X' WHERE id = 5",
    ];
    expect(await followed({ operations }, changes)).toEqual(Array(3).fill('1a 2new 5X'));
    expect(await followed({}, changes)).toEqual(Array(3).fill('2new 5X'));
  });
});

/** A column that is always generated keeps changes from being merged. */
const KEYS = {
  'as sets': 'PRIMARY KEY (id)',
  'in order': 'n int GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (id)',
} as const;

describe.each(Object.entries(KEYS))('where the target differs for it (applied %s)', (_, key) => {
  const tables = `CREATE SCHEMA a; CREATE SCHEMA b; ${NAMES.map((name) => `CREATE TABLE ${name} (id int, v text, ${key}); INSERT INTO ${name} VALUES (1, 'a'), (2, 'b')`).join(';')}`;
  const all = (rows: string) => Array<string>(3).fill(rows);

  it('a row that comes again replaces the one whose end was not followed', async () => {
    const changes = [
      "DELETE FROM $ WHERE id = 1; INSERT INTO $ VALUES (1, 'again')",
      'DELETE FROM $ WHERE id = 2',
      "INSERT INTO $ VALUES (2, 'later'); DELETE FROM $ WHERE id = 2; INSERT INTO $ VALUES (2, 'last')",
      "DELETE FROM $ WHERE id = 1; UPDATE $ SET id = 1, v = 'moved' WHERE id = 2",
    ];
    expect(await followed({ operations: ['insert', 'update'] }, changes, tables)).toEqual(all('1moved'));
  });

  it('changes of rows that never came are passed over', async () => {
    const changes = [
      "INSERT INTO $ VALUES (3, 'c'), (4, 'd')",
      "UPDATE $ SET v = 'C' WHERE id IN (2, 3); UPDATE $ SET id = 9 WHERE id = 4",
      'DELETE FROM $ WHERE id IN (1, 3, 9)',
    ];
    expect(await followed({ operations: ['update', 'delete'] }, changes, tables)).toEqual(all('2C'));
  });

  it('a row goes under the key that it came with, whatever was not followed', async () => {
    const changes = ["UPDATE $ SET v = 'A' WHERE id = 1; UPDATE $ SET id = 7 WHERE id = 2", 'DELETE FROM $'];
    expect(await followed({ operations: ['insert', 'delete'] }, changes, tables)).toEqual(all('2b'));
  });
});

describe('a table without a key', () => {
  it('is followed in the operations chosen, row by row', async () => {
    const tables = `CREATE SCHEMA a; CREATE SCHEMA b; ${NAMES.map((name) => `CREATE TABLE ${name} (id int, v text); INSERT INTO ${name} VALUES (1, 'a'), (1, 'a'), (2, 'b')`).join(';')}`;
    const changes = [
      "DELETE FROM $ WHERE ctid = '(0,1)'",
      "INSERT INTO $ VALUES (1, 'a')",
      "UPDATE $ SET v = 'B' WHERE id = 2",
    ];
    expect(await followed({ operations: ['insert', 'update'] }, changes, tables)).toEqual(
      Array(3).fill('1a 1a 1a 2B'),
    );
    expect(await followed({ operations: ['update', 'delete'] }, changes, tables)).toEqual(
      Array(3).fill('1a 2B'),
    );
  });
});

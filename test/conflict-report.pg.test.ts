/** A conflict in the stream names both rows: the one that comes, and the one of the target that is in its way. */
import { expect, it } from 'vitest';
import { freshPair } from './database.ts';
import { migrate } from './migration.ts';
import { readStoppedTables } from '../src/engine/target/books/stopped-tables.ts';

const TABLE =
  'CREATE TABLE t (id int, k text, email text, during int4range, PRIMARY KEY (id, k)); INSERT INTO t VALUES (1, $$a$$, $$one$$, $$[1,3)$$)';

it.each([
  [
    'the same key',
    '',
    `INSERT INTO t VALUES (9, 'x', 'mine', NULL)`,
    `INSERT INTO t VALUES (9, 'x', 'two', NULL)`,
  ],
  [
    'a second unique index',
    'CREATE UNIQUE INDEX u ON t (email)',
    `INSERT INTO t VALUES (9, 'x', 'two', NULL)`,
    `INSERT INTO t VALUES (2, 'b', 'two', NULL)`,
  ],
  [
    'an index of expressions',
    'CREATE UNIQUE INDEX u ON t (lower(email)) WHERE id > 0',
    `INSERT INTO t VALUES (9, 'x', 'TWO', NULL)`,
    `UPDATE t SET email = 'two'`,
  ],
  [
    'an exclusion constraint',
    'ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (during WITH &&)',
    `INSERT INTO t VALUES (9, 'x', 'three', '[5,9)')`,
    `UPDATE t SET during = '[2,6)'`,
  ],
])('under %s', async (_, constraint, theirs, ours) => {
  await using pair = await freshPair(18, 12, TABLE);
  const { source, target } = pair;
  await migrate(source, target);
  await target.session.query(`${constraint}; ${theirs}`);
  await source.session.query(ours);
  await expect(migrate(source, target)).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
  const task = (await target.session.one('SELECT task_id FROM _opendts.task')).task_id ?? '';
  const [stopped] = await readStoppedTables(target.session, task);
  expect(stopped?.reason).toContain(`the row in its way is (id, k) = (9, x)`);
  expect(stopped?.reason).toMatch(/\(key \(id, k\) = \((9, x|2, b|1, a)\)\)/);
});

it.each([
  ['an update', `UPDATE t SET email = 'two' WHERE id = 1`],
  ['a delete', 'DELETE FROM t WHERE id = 1'],
  ['one of two updates', `UPDATE t SET email = 'two'`],
  ['one of two deletes', 'DELETE FROM t'],
])('stops the table where the row of %s is missing', async (_, ours) => {
  await using pair = await freshPair(18, 12, `${TABLE}; INSERT INTO t VALUES (2, 'b', 'there', NULL)`);
  const { source, target } = pair;
  await migrate(source, target);
  await target.session.query('DELETE FROM t WHERE id = 1');
  await source.session.query(ours);
  await expect(migrate(source, target)).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
  const { email } = await target.session.one('SELECT string_agg(email, $$ $$) AS email FROM t');
  expect(email).toBe('there');
  const task = (await target.session.one('SELECT task_id FROM _opendts.task')).task_id ?? '';
  const [stopped] = await readStoppedTables(target.session, task);
  expect(stopped?.reason).toContain('(id, k) = (1, a)');
});

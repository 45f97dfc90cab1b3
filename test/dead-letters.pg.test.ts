/** Changes that the target refuses, kept by a person's choice: which, where, how many, exactly once; the rest goes on (P11, I6). */
import { expect, it } from 'vitest';
import { choose, keep, letters, openExact, REFUSES, stopped, TABLES, told, until } from './dead-letters.ts';
import { freshPair } from './database.ts';
import { follow } from './follow.ts';
import { compare, migrate } from './migration.ts';

it.each([
  [17, 15],
  [12, 12],
] as const)(
  'keeps each change that is refused, with its reason and position, once a person has chosen so: %i to %i',
  async (from, to) => {
    await using pair = await freshPair(from, to, TABLES);
    const { source, target } = pair;
    const running = await follow(source, target);
    await using exact = await openExact(pair);
    await target.session.query(REFUSES);
    await source.session.query('UPDATE a SET n = 2000 WHERE id = 1');
    await until(async () => (await stopped(pair)).length === 1);
    await source.session.query(`
    BEGIN; UPDATE a SET v = 'w' WHERE id IN (6, 7, 9); UPDATE b SET v = 'w'; COMMIT;
    BEGIN; INSERT INTO a VALUES (60, 'M2', 1, 'v'), (61, 'new', 1, 'v'), (62, 'x', 1, NULL); DELETE FROM a WHERE id IN (8, 10); COMMIT;
    UPDATE a SET id = 70 WHERE id = 11; UPDATE a SET id = 71 WHERE id = 7`);
    await choose(pair, 'a', 'dead-letter');
    await until(async () => (await stopped(pair)).length === 0);
    // The choice lasts.
    await source.session.query('UPDATE a SET n = 3000 WHERE id = 2; UPDATE a SET n = 3 WHERE id = 3');
    const summary = await running.catchUp();
    expect(await told(pair)).toEqual([
      'update 1 23514',
      'update 7 ROW_MISSING',
      'insert 60 23505',
      'insert 62 23502',
      'delete 8 ROW_MISSING',
      'update 7 ROW_MISSING',
      'update 2 23514',
    ]);
    expect(summary.deadLetters).toEqual([{ table: 'public.a', letters: 7n }]);
    expect(await exact.differences()).toEqual([]);
    expect(await exact.dead()).toEqual(['public.a 7']);
    const all = await letters(pair);
    expect(all[0]?.reason).toContain('(id) = (1)');
    expect(all[1]?.finalLsn).toBeLessThan(all[2]?.finalLsn ?? 0n);
    expect(all.slice(1, 5).map(({ ordinal }) => ordinal)).toEqual([2n, 1n, 3n, 4n]);
    expect(running.events.filter(({ message }) => message.includes('dead letters')).length).toBeGreaterThan(
      0,
    );
    const { differing } = await compare(source, target);
    expect(differing.map(({ table }) => table)).toEqual(['public.a']);
    const rows = await target.session.query('SELECT id FROM a WHERE id > 50 OR id IN (10, 11) ORDER BY id');
    expect(rows.map(({ id }) => id)).toEqual(['61', '70']);
  },
);

it('stops the table again at the next refusal once the choice is taken back, and other tables at any time', async () => {
  await using pair = await freshPair(17, 17, TABLES);
  const { source, target } = pair;
  await migrate(source, target);
  await target.session.query(REFUSES);
  await keep(pair, 'a');
  await source.session.query('UPDATE a SET n = 2000 WHERE id = 1; INSERT INTO c VALUES (200)');
  await expect(migrate(source, target)).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
  expect((await stopped(pair)).map(({ table }) => table.name)).toEqual(['c']);
  expect(await told(pair)).toEqual(['update 1 23514']);
  await choose(pair, 'c', 'dead-letter');
  await migrate(source, target);
  expect(await told(pair)).toEqual(['update 1 23514', 'insert  23514']);
  await source.session.query('INSERT INTO c VALUES (300)');
  await target.session.query('UPDATE _opendts.task_table SET dead_letters = false');
  await expect(migrate(source, target)).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
  expect(await letters(pair)).toHaveLength(2);
});

it('finds a few among many changes of one transaction, whatever its size, and counts to the last one', async () => {
  await using pair = await freshPair(18, 17, TABLES);
  const { source, target } = pair;
  await migrate(source, target);
  await target.session.query(`${REFUSES}; DELETE FROM b WHERE id > 20`);
  await keep(pair, 'a', 'b');
  await using exact = await openExact(pair);
  await source.session.query(`BEGIN;
    INSERT INTO b SELECT i, repeat('x', 20) FROM generate_series(1000, 13000) i; UPDATE a SET n = 5000 WHERE id = 20;
    UPDATE b SET v = 'w' WHERE id < 12000; INSERT INTO c SELECT i % 50 FROM generate_series(1, 5000) i; DELETE FROM a WHERE id = 20;
    INSERT INTO a SELECT i, 'n' || i, i, 'v' FROM generate_series(900, 1100) i; COMMIT`);
  // Whatever stands around one that touches no row is applied once.
  await source.session.query(
    `BEGIN; INSERT INTO c VALUES (7), (7); DELETE FROM b WHERE id = 50; INSERT INTO c VALUES (8); COMMIT`,
  );
  await migrate(source, target);
  const missing = Array.from({ length: 30 }, (_, at) => `update ${at + 21} ROW_MISSING`);
  const large = Array.from({ length: 101 }, (_, at) => `insert ${at + 1000} 23514`);
  const gone = 'delete 50 ROW_MISSING';
  expect(await told(pair)).toEqual(['update 20 23514', ...missing, ...large, gone]);
  expect(await exact.differences()).toEqual([]);
  expect(await exact.dead()).toEqual(['public.a 102', 'public.b 31']);
  const { rows } = await target.session.one("SELECT count(*)::text AS rows FROM b WHERE v = 'w'");
  expect(rows).toBe('11020');
  expect((await compare(source, target)).differing.map(({ table }) => table)).toEqual([
    'public.a',
    'public.b',
  ]);
});

it('keeps large values, bytes as they came, and says of what is unchanged that it is', async () => {
  await using pair = await freshPair(17, 18, 'CREATE TABLE big (id int PRIMARY KEY, n int, v text)');
  const { source, target } = pair;
  const LONG = "(SELECT string_agg(md5(i::text), 'é') FROM generate_series(1, 150000) i)";
  await source.session.query(`INSERT INTO big VALUES (1, 1, ${LONG})`);
  await migrate(source, target);
  await target.session.query('ALTER TABLE big ADD CHECK (n < 10)');
  await keep(pair, 'big');
  await source.session.query(`INSERT INTO big VALUES (2, 20, ${LONG}); UPDATE big SET n = 30 WHERE id = 1`);
  await migrate(source, target);
  const [first, second] = await target.session.query(
    `SELECT md5(convert_from(new_row[3], 'UTF8')) AS sum, unchanged::text FROM _opendts.dead_letter ORDER BY id`,
  );
  expect(first?.sum).toBe((await source.session.one('SELECT md5(v) AS sum FROM big WHERE id = 2')).sum);
  expect(second).toMatchObject({ sum: null, unchanged: '{v}' });
});

/** Into tables that the user has made (A4), and beside rows that are there already (C7). */
import { describe, expect, it } from 'vitest';
import type { AppError } from '../src/base/errors/app-error.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import { follow } from './follow.ts';
import { migrate, type RunOptions } from './migration.ts';

const rows = (db: TestDatabase, sql: string) => db.session.query(sql);

async function failure(source: TestDatabase, target: TestDatabase, options: RunOptions): Promise<AppError> {
  return migrate(source, target, options).then(
    () => expect.unreachable('the migration should have failed'),
    (thrown: AppError) => thrown,
  );
}

const SOURCE = `
  CREATE TABLE orders (id int PRIMARY KEY, code varchar(10), amount numeric(8,2), note text);
  INSERT INTO orders SELECT i, 'c' || i, i / 4.0, 'note ' || i FROM generate_series(1, 500) i;
  CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept VALUES (1)`;
const TARGET = `
  CREATE SCHEMA sales;
  CREATE TABLE sales."Order lines" (id bigint PRIMARY KEY, amount text, code char(12), source text DEFAULT 'old shop');
  CREATE TABLE kept (id int PRIMARY KEY)`;
const rename = { 'public.orders': 'sales."Order lines"' };

describe('a table of the user', () => {
  it('may have another name, fewer and more columns and other types; what changes goes there too', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    await rows(source, SOURCE);
    await rows(target, TARGET);
    // The column that the target lacks is left out of the copy; following changes needs it, or a table without it.
    const full = await migrate(source, target, { types: ['full'], rename });
    expect(full.outcome).toBe('completed');
    expect(full.warnings).toContainEqual(expect.stringMatching(/public\.orders: .*no column "note"/));
    expect(await rows(target, `SELECT * FROM sales."Order lines" WHERE id = 7`)).toEqual([
      { id: '7', amount: '1.75', code: 'c7          ', source: 'old shop' },
    ]);
    expect(await rows(target, 'SELECT count(*)::text AS n FROM sales."Order lines"')).toEqual([{ n: '500' }]);
  });

  it('is followed under its own name', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await rows(
      source,
      'CREATE TABLE a (id int PRIMARY KEY, w int, v text); INSERT INTO a VALUES (1, 5, $$x$$)',
    );
    await rows(target, 'CREATE TABLE b (id int PRIMARY KEY, v text, more int DEFAULT 3)');
    const options = { types: ['full', 'incremental'], rename: { a: 'public.b' } } as const;
    const following = await follow(source, target, options);
    await rows(
      source,
      "INSERT INTO a VALUES (2, 6, 'y'); UPDATE a SET w = 7, v = 'z' WHERE id = 1; UPDATE a SET w = 8",
    );
    const summary = await following.catchUp();
    expect(summary.warnings).toContainEqual(expect.stringMatching(/public\.a: left out.*: w$/));
    expect(await rows(target, 'SELECT * FROM b ORDER BY id')).toEqual([
      { id: '1', v: 'z', more: '3' },
      { id: '2', v: 'y', more: '3' },
    ]);
  });

  it('cannot be the target of two, nor of a name that is not selected, nor be made for several', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(15);
    await rows(source, SOURCE);
    await rows(target, TARGET);
    const two = await failure(source, target, { types: ['full'], rename: { orders: 'public.kept' } });
    expect(two).toMatchObject({ code: 'USAGE', message: expect.stringContaining('public.kept') });
    const none = await failure(source, target, { types: ['full'], rename: { gone: 'public.x' } });
    expect(none).toMatchObject({ code: 'NOTHING_SELECTED' });
    const into = { orders: 'sales.all', kept: 'sales.all' };
    const made = await failure(source, target, { types: ['schema', 'full'], rename: into });
    expect(made).toMatchObject({
      code: 'CHECKS_FAILED',
      message: expect.stringContaining('several tables can go into one only where you have made'),
    });
  });
});

describe('rows that the target holds already', () => {
  const HELD = `INSERT INTO kept VALUES (9);
    INSERT INTO sales."Order lines" SELECT i, 'mine', 'mine' FROM generate_series(100, 149) i`;

  it('keep the migration from starting unless they are to be kept', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(15);
    await rows(source, SOURCE);
    await rows(target, TARGET + ';' + HELD);
    const error = await failure(source, target, { types: ['full'], rename });
    expect(error).toMatchObject({ code: 'CHECKS_FAILED', message: expect.stringContaining('hold rows') });
    expect(error.remedy).toContain('--conflict ignore');
  });

  it.each([12, 18] as const)(
    'stay as they are with conflict mode ignore, and are counted by table (target %i)',
    async (major) => {
      await using source = await freshDatabase(15);
      await using target = await freshDatabase(major);
      await rows(source, SOURCE);
      await rows(target, TARGET + ';' + HELD);
      const summary = await migrate(source, target, { types: ['full'], rename, conflict: 'ignore' });
      expect(summary.outcome).toBe('completed');
      expect(summary.rowsCopied).toBe(451n);
      expect(summary.kept).toEqual([expect.objectContaining({ table: 'public.orders', rows: 50n })]);
      expect(
        await rows(
          target,
          `SELECT count(*)::text AS n, count(*) FILTER (WHERE amount = 'mine')::text AS mine FROM sales."Order lines"`,
        ),
      ).toEqual([{ n: '500', mine: '50' }]);
      expect(await rows(target, 'SELECT id FROM kept ORDER BY id')).toEqual([{ id: '1' }, { id: '9' }]);
    },
  );
});

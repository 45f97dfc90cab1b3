/** A row that cannot pass stops its table, and the error names the row; the other tables are copied. */
import { describe, expect, it } from 'vitest';
import { inject } from 'vitest';
import type { AppError } from '../src/base/errors/app-error.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import { migrate, type RunOptions } from './migration.ts';

async function refused(source: TestDatabase, target: TestDatabase, options: RunOptions): Promise<AppError> {
  return migrate(source, target, options).then(
    () => expect.unreachable('the migration should have failed'),
    (thrown: AppError) => thrown,
  );
}

async function count(db: TestDatabase, table: string): Promise<string | null | undefined> {
  return (await db.session.one(`SELECT count(*)::text AS n FROM ${table}`)).n;
}

const FULL = { types: ['full'] } as const;

describe('a row that the target refuses', () => {
  it.each([
    ['in text', 'int'],
    ['in binary', 'bigint'],
  ])('is named by its key, and the other tables go on: %s', async (_, type) => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(`
      CREATE TABLE bad (a int, b text, n bigint, PRIMARY KEY (a, b));
      INSERT INTO bad SELECT i, 'k' || i, i FROM generate_series(1, 5000) i; UPDATE bad SET n = 999999 WHERE a = 3210;
      CREATE TABLE good (id int); INSERT INTO good SELECT generate_series(1, 10)`);
    await target.session.query(
      `CREATE TABLE bad (a int, b text, n ${type} CHECK (n < 10000)); CREATE TABLE good (id int)`,
    );
    const error = await refused(source, target, FULL);
    expect(error).toMatchObject({
      code: 'ROW_REFUSED',
      facts: { table: 'public.bad', side: 'target', row: '(a, b) = (3210, k3210)', sqlstate: '23514' },
    });
    expect(error.message).not.toContain('999999');
    expect([await count(target, 'bad'), await count(target, 'good')]).toEqual(['0', '10']);
    // Corrected at the source, the same command completes.
    await source.session.query('UPDATE bad SET n = 1 WHERE a = 3210');
    expect((await migrate(source, target, FULL)).outcome).toBe('completed');
    expect(await count(target, 'bad')).toBe('5000');
  });

  it('stops the whole at once when the task is strict', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(15);
    await source.session.query(
      `CREATE TABLE bad (v text); INSERT INTO bad SELECT repeat('x', 100) FROM generate_series(1, 100000);
       CREATE TABLE good (id int); INSERT INTO good VALUES (1)`,
    );
    await target.session.query(`CREATE TABLE bad (v varchar(99)); CREATE TABLE good (id int)`);
    const error = await refused(source, target, { ...FULL, strict: true, jobs: 1 });
    expect(error).toMatchObject({ code: 'ROW_REFUSED', facts: { row: 'ctid = (0,1)' } });
    expect(await count(target, 'good')).toBe('0');
  });
});

describe('a row that the source cannot send', () => {
  it('because its bytes are no characters is named by its key', async () => {
    const server = inject('servers')[15];
    const name = `latin_${Date.now()}`;
    const admin = parseConninfo(server, 'source');
    await using root = await connect(admin, { side: 'source', applicationName: 'test' });
    await root.query(
      `CREATE DATABASE ${name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
    try {
      const info = { ...admin, database: name };
      await using session = await connect(info, { side: 'source', applicationName: 'test' });
      await session.query(`CREATE TABLE public.bad (id int PRIMARY KEY, v text); CREATE TABLE public.good (id int);
        INSERT INTO public.bad SELECT i, 'fine' FROM generate_series(1, 1000) i;
        UPDATE public.bad SET v = pg_catalog.convert_from('\\xff41', 'SQL_ASCII') WHERE id = 77;
        INSERT INTO public.good VALUES (1)`);
      await using target = await freshDatabase(15);
      await target.session.query('CREATE TABLE bad (id int, v varchar); CREATE TABLE good (id int)');
      const source = { ...target, info, session } as TestDatabase;
      const error = await refused(source, target, FULL);
      expect(error).toMatchObject({
        code: 'ROW_REFUSED',
        facts: { table: 'public.bad', row: '(id) = (77)' },
      });
      expect(await count(target, 'good')).toBe('1');
    } finally {
      await root.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    }
  });
});

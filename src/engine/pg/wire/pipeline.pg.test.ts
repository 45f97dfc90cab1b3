/** Many statements in one round trip. */
import { describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../../test/database.ts';
import { byteText } from '../../change/change.ts';
import type { PgError } from '../pg-error.ts';
import { Pipeline, type Statement } from './pipeline.ts';

const plain = (sql: string): Statement => ({ sql, values: [] });
const insert = (value: string | null): Statement => ({
  sql: 'INSERT INTO public.t SELECT $1::int',
  values: [value === null ? null : byteText(value)],
});

async function failureOf(run: Promise<unknown>): Promise<Partial<PgError>> {
  return run.then(
    () => ({}),
    (thrown: unknown) => thrown as PgError,
  );
}

describe.each([12, 18] as const)('a pipeline on PostgreSQL %i', (major) => {
  it('runs statements in their order and tells the rows of each', async () => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE t (n int)');
    const pipeline = new Pipeline(await db.open());
    const rows = await pipeline.run([
      plain('BEGIN'),
      insert('1'),
      insert('2'),
      insert(null),
      plain('UPDATE public.t SET n = n + 10'),
      plain('DELETE FROM public.t WHERE n = 11'),
      plain('COMMIT'),
    ]);
    expect(rows).toEqual([0, 1, 1, 1, 3, 1, 0]);
    expect(await db.session.query('SELECT n FROM t ORDER BY n')).toEqual([{ n: '12' }, { n: null }]);
  });

  it('names the statement that failed, runs nothing behind it, and goes on after a rollback', async () => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE t (n int CHECK (n <> 3))');
    const pipeline = new Pipeline(await db.open());
    const failed = await failureOf(pipeline.run([plain('BEGIN'), insert('1'), insert('3'), insert('4')]));
    expect(failed).toMatchObject({ sqlstate: '23514', statementIndex: 2 });
    await pipeline.run([plain('ROLLBACK')]);
    expect(await pipeline.run([insert('5'), insert('6')])).toEqual([1, 1]);
    const wrong = await failureOf(pipeline.run([insert('7'), plain('SELECT FROM nowhere')]));
    expect(wrong).toMatchObject({ sqlstate: '42P01', statementIndex: 1 });
    expect(await db.session.query('SELECT n FROM t ORDER BY n')).toEqual([{ n: '5' }, { n: '6' }]);
  });

  it('prepares a statement once, however often something behind it or it itself fails', async () => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE t (n int CHECK (n <> 3))');
    await using session = await db.open();
    const pipeline = new Pipeline(session);
    await pipeline.run([plain('BEGIN'), plain('SAVEPOINT s')]);
    for (let turn = 0; turn < 50; turn++) {
      const all = [
        plain('ROLLBACK TO s'),
        plain('RELEASE s'),
        plain('SAVEPOINT s'),
        insert('1'),
        insert('3'),
      ];
      expect(await failureOf(pipeline.run(all))).toMatchObject({ sqlstate: '23514', statementIndex: 4 });
    }
    await pipeline.run([plain('ROLLBACK')]);
    pipeline.close();
    const { n } = await session.one('SELECT count(*)::text AS n FROM pg_catalog.pg_prepared_statements');
    expect(n).toBe('6');
  });

  it('copies rows in between, and passes over those that follow a failure', async () => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE t (n int CHECK (n <> 3), v text)');
    const pipeline = new Pipeline(await db.open());
    const copy = (...lines: string[]): Statement => ({
      sql: 'COPY public.t (n, v) FROM STDIN',
      values: [],
      copyData: Buffer.from(lines.map((line) => `${line}\n`).join('')),
    });
    const rows = await pipeline.run([
      plain('BEGIN'),
      copy('1\tü\\t\\N', '2\t\\N'),
      insert('7'),
      copy('4\tx'),
      plain('COMMIT'),
    ]);
    expect(rows).toEqual([0, 2, 1, 1, 0]);
    for (const [failing, index] of [
      [copy('1\tx', '3\ty'), 2],
      [insert('3'), 2],
      [plain('SELECT FROM nowhere'), 2],
    ] as const) {
      const all = [plain('BEGIN'), copy('5\tx'), failing, copy('6\tx', '6\ty'), insert('6')];
      expect(await failureOf(pipeline.run(all))).toMatchObject({ statementIndex: index });
      await pipeline.run([plain('ROLLBACK')]);
    }
    expect(await pipeline.run([copy('8\tx')])).toEqual([1]);
    expect(await db.session.query('SELECT n, v FROM t ORDER BY n')).toEqual([
      { n: '1', v: 'ü\tN' },
      { n: '2', v: null },
      { n: '4', v: 'x' },
      { n: '7', v: null },
      { n: '8', v: 'x' },
    ]);
  });

  it('forgets statements when it has prepared thousands, and still tells rows and failures rightly', async () => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE t (n int CHECK (n <> 3))');
    const pipeline = new Pipeline(await db.open());
    const many = (from: number) => Array.from({ length: 5_000 }, (_, at) => plain(`SELECT ${from + at}`));
    await pipeline.run(many(0));
    expect(await pipeline.run([insert('1'), plain('SELECT'), insert('2')])).toEqual([1, 1, 1]);
    await pipeline.run(many(10_000));
    const failed = await failureOf(pipeline.run([plain('BEGIN'), insert('1'), insert('3')]));
    expect(failed).toMatchObject({ sqlstate: '23514', statementIndex: 2 });
    await pipeline.run([plain('ROLLBACK')]);
    expect(await pipeline.run([insert('4')])).toEqual([1]);
  });

  it('fails when the server ends the session, instead of waiting for ever', async () => {
    await using db = await freshDatabase(major);
    const session = await db.open();
    const pipeline = new Pipeline(session);
    const waiting = failureOf(pipeline.run([plain('SELECT pg_catalog.pg_sleep(30)')]));
    await db.session.query('SELECT pg_terminate_backend($1::int)', [String(session.pid)]);
    expect(await waiting).toMatchObject({ sqlstate: '57P01' });
    await expect(pipeline.run([plain('SELECT')])).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });
});

import { describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { MAJORS } from '../../../test/global-setup.ts';
import { PgError } from './pg-error.ts';

describe.each(MAJORS)('a session on PostgreSQL %i', (major) => {
  it('returns every value as text and knows its server version', async () => {
    await using db = await freshDatabase(major);
    const row = await db.session.one(
      "SELECT 9007199254740993::int8 AS big, true AS yes, NULL AS nothing, '{1,2}'::int[] AS list",
    );
    expect(row).toEqual({ big: '9007199254740993', yes: 't', nothing: null, list: '{1,2}' });
    expect(Math.floor(db.session.version / 10_000)).toBe(major);
  });

  it('gives rows away one by one; what is thrown meanwhile ends the statement and not the session', async () => {
    await using db = await freshDatabase(major);
    const { session } = db;
    const numbers = 'SELECT i AS n, NULL AS nothing FROM generate_series(1, 10000) i';
    let known = '';
    const found = await session.map(numbers, ({ n, nothing }) => `${n} ${nothing}`, {
      text: (text) => (known = text),
    });
    expect([found.length, found[0], found.at(-1), known]).toEqual([10_000, '1 null', '10000 null', '10000']);
    const seen: unknown[] = [];
    const failing = session.each(numbers, ({ n }) => {
      seen.push(n);
      throw new Error(`at ${n}`);
    });
    await expect(failing).rejects.toThrow('at 1');
    expect(seen).toEqual(['1']);
    await expect(session.each('SELECT 1/i FROM generate_series(1, 0, -1) i', () => {})).rejects.toThrow(
      PgError,
    );
    expect(await session.one('SELECT 1 AS one')).toEqual({ one: '1' });
    session.destroy();
    await expect(session.each('SELECT 1', () => {})).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });
});

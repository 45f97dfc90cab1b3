import { describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { MAJORS } from '../../../test/global-setup.ts';

describe.each(MAJORS)('a session on PostgreSQL %i', (major) => {
  it('returns every value as text and knows its server version', async () => {
    await using db = await freshDatabase(major);
    const row = await db.session.one(
      "SELECT 9007199254740993::int8 AS big, true AS yes, NULL AS nothing, '{1,2}'::int[] AS list",
    );
    expect(row).toEqual({ big: '9007199254740993', yes: 't', nothing: null, list: '{1,2}' });
    expect(Math.floor(db.session.version / 10_000)).toBe(major);
  });
});

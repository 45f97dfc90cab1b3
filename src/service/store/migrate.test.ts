import { describe, expect, it } from 'vitest';
import { nextMigration, readMigrations, type Migration } from './migrate.ts';

const known: Migration[] = [1, 2, 3].map((number) => ({
  number,
  name: `000${number}_x.sql`,
  sql: '',
  checksum: `sum${number}`,
  breaks: null,
}));
const done = (...numbers: number[]) => known.filter(({ number }) => numbers.includes(number));

describe('the next migration', () => {
  it('is the first that is missing, and none when all are there', () => {
    expect(nextMigration([], known)?.number).toBe(1);
    expect(nextMigration(done(1), known)?.number).toBe(2);
    expect(nextMigration(done(1, 2, 3), known)).toBeNull();
  });

  it('is none in a store that a newer program has added to, and refused where that breaks older ones', () => {
    const newer = { number: 4, name: '0004_y.sql', checksum: 'sum4', breaks: null };
    expect(nextMigration([...done(1, 2, 3), newer], known)).toBeNull();
    const breaking = [...done(1, 2, 3), { ...newer, breaks: 'tasks have two targets' }];
    expect(() => nextMigration(breaking, known)).toThrow(
      expect.objectContaining({
        code: 'STORE_NEWER',
        facts: { name: '0004_y.sql', why: 'tasks have two targets' },
      }),
    );
  });

  it('is refused where one that was applied has been edited since', () => {
    const edited = [{ number: 1, name: '0001_x.sql', checksum: 'other', breaks: null }];
    expect(() => nextMigration(edited, known)).toThrow(
      expect.objectContaining({ code: 'MIGRATION_CHANGED' }),
    );
  });
});

describe('the migrations of this version', () => {
  it('are numbered without a gap', () => {
    const numbers = readMigrations().map(({ number }) => number);
    expect(numbers).toEqual(numbers.map((_, at) => at + 1));
  });
});

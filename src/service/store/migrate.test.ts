import { describe, expect, it } from 'vitest';
import { nextMigration, readMigrations, type Migration } from './migrate.ts';

const known: Migration[] = [1, 2, 3].map((number) => ({
  number,
  name: `000${number}_x.sql`,
  sql: '',
  checksum: `sum${number}`,
}));
const done = (...numbers: number[]) => known.filter(({ number }) => numbers.includes(number));

describe('the next migration', () => {
  it('is the first that is missing, and none when all are there', () => {
    expect(nextMigration([], known)?.number).toBe(1);
    expect(nextMigration(done(1), known)?.number).toBe(2);
    expect(nextMigration(done(1, 2, 3), known)).toBeNull();
  });

  it('is refused for a store that a newer program has migrated', () => {
    const newer = [...done(1, 2, 3), { number: 4, name: '0004_y.sql', checksum: 'sum4' }];
    expect(() => nextMigration(newer, known)).toThrow(expect.objectContaining({ code: 'STORE_NEWER' }));
  });

  it('is refused where one that was applied has been edited since', () => {
    const edited = [{ number: 1, name: '0001_x.sql', checksum: 'other' }];
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

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ByteText } from '../../change/change.ts';
import type { Planned } from './sql/apply-sql.ts';
import { spread } from './spread.ts';
import type { TargetTable } from './sql/target-table.ts';

/** All that is asked of a table here. */
function table(name: string, fires = false): TargetTable {
  return { name: { schema: 's', name }, fires } as TargetTable;
}

function statement(of: TargetTable, bytes: number, operation: Planned['operation'] = 'update'): Planned {
  return {
    sql: '',
    values: ['x'.repeat(bytes) as ByteText],
    expect: null,
    table: of,
    operation,
    key: null,
  };
}

const K = 1024;

describe('a window spread over lanes', () => {
  it('loses no statement, keeps those of one target table together and in order, and fills at most that many lanes', () => {
    const tables = Array.from({ length: 6 }, (_, at) => table(`t${at}`));
    // Another description of the same target table: the source has described it anew, or several go into it.
    const again = table('t0');
    const statements = fc.array(
      fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 40 * K })),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(statements, fc.integer({ min: 1, max: 8 }), (given, lanes) => {
        const planned = given.map(([at, bytes]) => statement(tables[at] ?? again, bytes));
        const shares = spread(planned, lanes);
        if (shares === null) return;
        expect(shares.length).toBeGreaterThan(1);
        expect(shares.length).toBeLessThanOrEqual(lanes);
        expect(shares.every((share) => share.length > 0)).toBe(true);
        expect(new Set(shares.flat())).toEqual(new Set(planned));
        expect(shares.flat()).toHaveLength(planned.length);
        const names = shares.map((share) => new Set(share.map((one) => one.table.name.name)));
        expect(names.reduce((sum, { size }) => sum + size, 0)).toBe(
          new Set(names.flatMap((of) => [...of])).size,
        );
        for (const share of shares)
          for (const name of new Set(share.map((one) => one.table.name.name))) {
            const of = (list: readonly Planned[]) => list.filter((one) => one.table.name.name === name);
            expect(of(share)).toEqual(of(planned));
          }
      }),
    );
  });

  it('is as even as its tables allow', () => {
    const sizes = [50, 30, 20, 20, 10, 10];
    const shares = spread(
      sizes.map((size, at) => statement(table(`t${at}`), size * K)),
      2,
    );
    const bytes = shares?.map((share) =>
      share.reduce((sum, { values }) => sum + (values[0]?.length ?? 0), 0),
    );
    expect(bytes).toEqual([70 * K, 70 * K]);
  });

  const two = [statement(table('a'), 100 * K), statement(table('b'), 100 * K)];

  it('goes through one where there is one, where it is small, where nearly all is of one table', () => {
    expect(spread(two, 2)).toHaveLength(2);
    expect(spread(two, 1)).toBeNull();
    expect(spread([statement(table('a'), 10 * K), statement(table('b'), 10 * K)], 2)).toBeNull();
    expect(spread([statement(table('a'), 200 * K), statement(table('b'), K)], 2)).toBeNull();
    expect(spread([], 2)).toBeNull();
  });

  it('goes through one where the order between tables counts: TRUNCATE, triggers or foreign keys that fire', () => {
    expect(spread([...two, statement(table('c'), 0, 'truncate')], 2)).toBeNull();
    expect(spread([...two, statement(table('c', true), 0)], 2)).toBeNull();
  });
});

import { describe, expect, it } from 'vitest';
import { lsnFrom } from '../../change/lsn.ts';
import { Positions } from './positions.ts';

const A = { schema: 's', name: 'a' };
const B = { schema: 's', name: 'b' };
const C = { schema: 's', name: 'c' };
const at = (lsn: bigint) => lsnFrom(lsn);
const stopped = (table: typeof A, endLsn: bigint, choice: 'retry' | 'skip' | 'recopy' | null) => ({
  table,
  endLsn: at(endLsn),
  code: choice === 'skip' || choice === 'recopy' ? 'TABLE_SKIPPED' : 'APPLY_FAILED',
  reason: '',
  choice,
  change: null,
});

describe('the positions of tables', () => {
  it('are those of the stream, but of tables that stand still, catch up, or are ahead', () => {
    const positions = new Positions(
      at(100n),
      [stopped(A, 50n, null), stopped(B, 60n, 'retry')],
      [{ table: C, endLsn: at(150n) }],
    );
    expect([A, B, C, { schema: 's', name: 'd' }].map((table) => positions.of(table))).toEqual([
      null,
      60n,
      150n,
      100n,
    ]);
    expect([positions.safe, positions.start, positions.areEven]).toEqual([50n, 60n, false]);
    expect(new Set(positions.all)).toEqual(new Set([100n, 60n, 150n]));
  });

  it.each(['skip', 'recopy'] as const)(
    'hold the source back but for a table that was left out (%s); where one stands is known while it stands still',
    (choice) => {
      const positions = new Positions(at(100n), [stopped(A, 50n, choice), stopped(B, 60n, null)], []);
      expect([A, B, C].map((table) => positions.of(table))).toEqual([null, null, 100n]);
      expect([positions.safe, positions.start]).toEqual([60n, 100n]);
      expect([A, B, C].map((table) => positions.placeOf(table))).toEqual([50n, 60n, 100n]);
      positions.advance(at(120n));
      expect([positions.placeOf(B), positions.safe, positions.areEven]).toEqual([60n, 60n, true]);
    },
  );

  it('meet where the stream passes them', () => {
    const positions = new Positions(at(100n), [stopped(B, 60n, 'retry')], [{ table: C, endLsn: at(150n) }]);
    positions.advance(at(80n));
    expect([positions.of(B), positions.recorded]).toEqual([80n, 100n]);
    positions.advance(at(120n));
    expect([positions.of(B), positions.of(C), positions.recorded]).toEqual([120n, 150n, 120n]);
    positions.advance(at(150n));
    expect([positions.of(C), positions.areEven, positions.all]).toEqual([150n, true, [150n]]);
  });

  it('a table that has stopped while it was ahead gets nothing twice when it goes on', () => {
    const positions = new Positions(at(100n), [stopped(C, 150n, 'retry')], [{ table: C, endLsn: at(150n) }]);
    expect(positions.of(C)).toBe(150n);
    positions.advance(at(120n));
    expect(positions.of(C)).toBe(150n);
    positions.advance(at(200n));
    expect(positions.of(C)).toBe(200n);
  });
});

/** Which change belongs to which copy (data-plane I1, I3). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteText, UNCHANGED, type Begin, type Cell, type RowChange } from '../change/change.ts';
import type { KeyCut } from '../change/cut.ts';
import { lsnFrom } from '../change/lsn.ts';
import type { Relation } from '../change/relation.ts';
import { parseSnapshot } from '../change/snapshot.ts';
import { chunksNotInCopy, isInCopy, notInCopy, tableCopy, type UnitSnapshot } from './visibility.ts';

function begin(xid: number, finalLsn: bigint): Begin {
  return { kind: 'begin', xid, finalLsn: lsnFrom(finalLsn), commitTime: 0n };
}

const READ_UNTIL = 1_000n;
const later: UnitSnapshot = {
  later: { text: '', snapshot: parseSnapshot('100:200:100,150'), readUntil: lsnFrom(READ_UNTIL) },
};

describe('a transaction of the stream', () => {
  it('always applies to a unit copied under the snapshot of the slot', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.bigInt({ min: 0n, max: 1n << 64n }), (xid, finalLsn) => {
        expect(isInCopy({ later: null }, begin(xid, finalLsn))).toBe(false);
      }),
    );
  });

  it('is in a copy under a later snapshot exactly when that snapshot sees it', () => {
    expect(isInCopy(later, begin(99, 500n))).toBe(true);
    expect(isInCopy(later, begin(149, 500n))).toBe(true);
    expect(isInCopy(later, begin(100, 500n))).toBe(false);
    expect(isInCopy(later, begin(150, 500n))).toBe(false);
    expect(isInCopy(later, begin(200, 500n))).toBe(false);
  });

  it('is judged by its xid up to R, and applies beyond it whatever its xid looks like', () => {
    expect(isInCopy(later, begin(149, READ_UNTIL))).toBe(true);
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.bigInt({ min: 1n, max: 1n << 63n }), (xid, beyond) => {
        expect(isInCopy(later, begin(xid, READ_UNTIL + beyond))).toBe(false);
      }),
    );
  });

  it('is judged in the epoch of the snapshot', () => {
    const wrapped: UnitSnapshot = {
      later: { text: '', snapshot: parseSnapshot('4294967396:4294967496:'), readUntil: lsnFrom(READ_UNTIL) },
    };
    expect(isInCopy(wrapped, begin(99, 500n))).toBe(true);
    expect(isInCopy(wrapped, begin(4_294_967_000, 500n))).toBe(true);
    expect(isInCopy(wrapped, begin(201, 500n))).toBe(false);
  });
});

const cut: KeyCut = { kind: 'key', column: 'id', order: 'integer', bounds: ['100'] };
const relation: Relation = {
  schema: 's',
  name: 't',
  oid: 1,
  replicaIdentity: 'default',
  columns: [
    { name: 'id', typeOid: 23, typmod: -1, isKey: true },
    { name: 'v', typeOid: 25, typmod: -1, isKey: false },
  ],
};
const full: Relation = { ...relation, replicaIdentity: 'full' };
const cell = (text: string) => byteText(text);
const seen = begin(99, 500n);

describe('a change of a table whose ranges were copied at different moments', () => {
  /** Below 100: the slot's snapshot, where everything applies; from 100 on: a later one, which has seen xid 99. */
  const copy = tableCopy(cut, [{ later: null }, later]);
  const insert = (id: string): RowChange => ({ kind: 'insert', relation, new: [cell(id), cell('x')] });
  const move = (from: string, to: string, v: Cell = cell('x'), of = relation): RowChange => ({
    kind: 'update',
    relation: of,
    old: [cell(from), of === full ? cell('old') : null],
    new: [cell(to), v],
  });

  it('is judged by the range of its row', () => {
    expect(notInCopy(copy, insert('99'), seen)).toEqual(insert('99'));
    expect(notInCopy(copy, insert('100'), seen)).toBeNull();
    expect(notInCopy(copy, insert('100'), begin(150, 500n))).toEqual(insert('100'));
    const remove: RowChange = { kind: 'delete', relation, old: [cell('100'), null] };
    expect(notInCopy(copy, remove, seen)).toBeNull();
    const update: RowChange = { kind: 'update', relation, old: null, new: [cell('5'), cell('y')] };
    expect(notInCopy(copy, update, seen)).toEqual(update);
  });

  it('that moves a row is what is left of it: a delete here, or an insert there', () => {
    expect(notInCopy(copy, move('5', '500'), seen)).toEqual({
      kind: 'delete',
      relation,
      old: [cell('5'), null],
    });
    expect(notInCopy(copy, move('500', '5'), seen)).toEqual({
      kind: 'insert',
      relation,
      new: [cell('5'), cell('x')],
    });
    expect(notInCopy(copy, move('500', '501'), seen)).toBeNull();
    expect(notInCopy(copy, move('5', '6'), seen)).toEqual(move('5', '6'));
    expect(notInCopy(copy, move('5', '500'), begin(150, 500n))).toEqual(move('5', '500'));
  });

  it('that moves a row without a value that did not change takes it from the whole old row, or asks for both ranges again', () => {
    expect(notInCopy(copy, move('500', '5', UNCHANGED, full), seen)).toMatchObject({
      kind: 'insert',
      new: [cell('5'), cell('old')],
    });
    expect(() => notInCopy(copy, move('500', '5', UNCHANGED), seen)).toThrow(
      expect.objectContaining({ name: 'NeedsRecopy', chunks: [1, 0] }),
    );
    // The value is on the target already where the row only goes.
    expect(notInCopy(copy, move('5', '500', UNCHANGED), seen)).toMatchObject({ kind: 'delete' });
  });

  it('empties, as a TRUNCATE, the ranges that have not seen it', () => {
    expect(chunksNotInCopy(copy, seen)).toEqual([0]);
    expect(chunksNotInCopy(copy, begin(150, 500n))).toEqual([0, 1]);
  });
});

describe('the copy of a table', () => {
  it('has one unit where all its ranges are of one moment, or it is not cut by a key', () => {
    expect(tableCopy(cut, [later, later])).toEqual({ units: [later], cut: null });
    expect(tableCopy({ kind: 'ctid', filenode: '1', bounds: [5] }, [later, later]).cut).toBeNull();
    expect(tableCopy(cut, [later, { later: null }]).units).toHaveLength(2);
  });
});

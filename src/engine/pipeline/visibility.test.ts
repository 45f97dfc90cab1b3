/** Which change belongs to which copy (data-plane I1, I3). */
import { describe, expect, it } from 'vitest';
import { byteText, UNCHANGED, type Begin, type Cell, type RowChange } from '../change/change.ts';
import type { KeyCut } from '../change/cut.ts';
import { lsnFrom } from '../change/lsn.ts';
import type { Relation } from '../change/relation.ts';
import { parseSnapshot } from '../change/snapshot.ts';
import { Unit, type Later } from './unit.ts';
import { chunksNotInCopy, isRepeated, notInCopy, type TableCopy } from './visibility.ts';

function begin(xid: number, finalLsn: bigint): Begin {
  return { kind: 'begin', xid, finalLsn: lsnFrom(finalLsn), commitTime: 0n };
}

const later: Later = {
  text: '',
  snapshot: parseSnapshot('100:200:100,150'),
  readUntil: lsnFrom(1_000n),
};

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
  const copy: TableCopy = { units: [Unit.done(null), Unit.done(later)], cut };
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

describe('a change of a table that is being copied', () => {
  const insert = (id: string): RowChange => ({ kind: 'insert', relation, new: [cell(id), cell('x')] });
  const move: RowChange = { kind: 'update', relation, old: [cell('5'), null], new: [cell('500'), cell('x')] };

  it('waits for the unit it belongs to, and for no other', () => {
    const [first, second] = [Unit.done(null), Unit.waiting()];
    const copy: TableCopy = { units: [first, second], cut };
    expect(notInCopy(copy, insert('5'), seen)).toEqual(insert('5'));
    expect(notInCopy(copy, insert('500'), begin(150, 500n))).toBeNull();
    second.bind(later);
    expect(second.claim()).toBe(true);
    expect(notInCopy(copy, insert('500'), seen)).toBeNull();
    expect(notInCopy(copy, insert('500'), begin(150, 500n))).toBe(second);
    expect(notInCopy(copy, move, begin(150, 500n))).toBe(second);
    expect(chunksNotInCopy(copy, begin(150, 500n))).toBe(second);
    second.finish();
    expect(notInCopy(copy, insert('500'), begin(150, 500n))).toEqual(insert('500'));
    expect(notInCopy(copy, move, begin(150, 500n))).toEqual(move);
  });

  it('that moves a row into a range still to be copied is a delete in the one it leaves', () => {
    const copy: TableCopy = { units: [Unit.done(null), Unit.waiting()], cut };
    expect(notInCopy(copy, move, seen)).toEqual({ kind: 'delete', relation, old: [cell('5'), null] });
  });
});

describe('a transaction received again', () => {
  const recorded = lsnFrom(200n);

  it('is one whose commit record begins before the recorded end; at that end begins the next one', () => {
    expect([isRepeated(begin(1, 199n), recorded), isRepeated(begin(1, 200n), recorded)]).toEqual([
      true,
      false,
    ]);
  });

  it('cannot be told where only a bound before the recorded end is known', () => {
    expect(isRepeated({ ...begin(1, 200n), isAtLeast: true }, recorded)).toBe(false);
    expect(() => isRepeated({ ...begin(1, 199n), isAtLeast: true }, recorded)).toThrow('0/C7');
  });
});

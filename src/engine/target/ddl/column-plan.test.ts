import { describe, expect, it } from 'vitest';
import type { ColumnInfo } from '../../pg/catalog/tables/tables.ts';
import { SAME_NAMES } from '../apply/sql/target-table.ts';
import type { KnownColumns } from '../books/task-tables.ts';
import { planColumns, type Planning } from './column-plan.ts';
import { stepWords } from './column-sql.ts';
import { knownBehind } from './known-behind.ts';
import type { SourceColumn } from './source-column.ts';

const target = (name: string, type = 'integer', more: Partial<ColumnInfo> = {}): ColumnInfo => ({
  attnum: 1,
  name,
  typeOid: 23,
  typmod: -1,
  type,
  bareType: type,
  typeKind: 'b',
  isArray: false,
  isBuiltinType: true,
  notNull: false,
  generated: '',
  identity: '',
  deterministic: true,
  ...more,
});
const source = (attnum: number | null, name: string, more: Partial<SourceColumn> = {}): SourceColumn => ({
  attnum,
  name,
  type: 'integer',
  typeOid: 23,
  typmod: -1,
  notNull: false,
  generated: '',
  identity: '',
  collation: null,
  expression: null,
  past: { kind: 'null' },
  ...more,
});
const form = { typeOid: 23, typmod: -1, type: 'integer' };
const known = (...columns: [name: string, attnum: number | null, isThere?: boolean][]): KnownColumns =>
  new Map(
    columns.map(([name, attnum, isThere = true]) => [
      name,
      { attnum, isLater: false, forms: isThere ? [form] : [] },
    ]),
  );

/** A table with columns a (1) and b (2). */
function plan(columns: SourceColumn[], more: Partial<Planning> = {}): string[] {
  return planColumns({
    change: { from: 'command', mayConvert: false, afterRows: false },
    source: columns,
    target: [target('a'), target('b')],
    known: known(['a', 1], ['b', 2]),
    isOurs: true,
    isEmpty: false,
    own: SAME_NAMES,
    ...more,
  }).map(stepWords);
}

const a = source(1, 'a');

describe('what is done for a change of columns', () => {
  it('follows the numbers', () => {
    expect(plan([a, source(2, 'b')])).toEqual([]);
    expect(plan([a, source(2, 'x')])).toEqual(['column "b" renamed to "x"']);
    expect(plan([a, source(3, 'x')])).toEqual(['column "b" dropped', 'column "x" (integer) added']);
  });

  it('leaves types and keys that the user has given to columns, unless the source makes other values of one', () => {
    const there = { target: [target('a', 'numeric', { notNull: true }), target('b')] };
    const own = {
      ...SAME_NAMES,
      isRetyped: (name: string) => name === 'a',
      isInOwnKey: (name: string) => name === 'a',
    };
    const more = { ...there, own };
    expect(plan([a, source(3, 'x')], more)).toEqual(['column "b" dropped', 'column "x" (integer) added']);
    expect(() => plan([source(1, 'a', { type: 'bigint', typeOid: 20 }), source(2, 'b')], more)).toThrow(
      'column "a" was integer and is bigint on the source, and has a type of yours on the target',
    );
  });

  it('is nothing where the target is as far already', () => {
    const there = { target: [target('a'), target('x')] };
    expect(plan([a, source(2, 'x')], { ...there, known: known(['a', 1], ['b', 2], ['x', 2]) })).toEqual([]);
    expect(plan([a, source(2, 'x')], there)).toEqual([]);
  });

  it('leaves columns of a table of the user alone, and those that it was made without', () => {
    const theirs = {
      isOurs: false,
      target: [target('a', 'text'), target('own')],
      known: known(['a', 1], ['b', 2, false]),
    };
    expect(plan([a, source(2, 'b')], theirs)).toEqual([]);
    expect(plan([a, source(2, 'x')], theirs)).toEqual([]);
    expect(plan([a, source(3, 'n')], theirs)).toEqual(['column "n" (integer) added']);
  });

  it('lets a generated column stand where only a shape is known', () => {
    const there = [target('a'), target('g', 'integer', { generated: 's' })];
    const change = { from: 'shape', mayConvert: false, afterRows: false } as const;
    expect(plan([a], { change, target: there, known: known(['a', 1], ['g', 2]) })).toEqual([]);
    expect(plan([a], { target: there, known: known(['a', 1], ['g', 2]) })).toEqual(['column "g" dropped']);
  });
});

describe('what is refused', () => {
  const refused = (columns: SourceColumn[], more: Partial<Planning> = {}) => {
    try {
      return plan(columns, more);
    } catch (thrown) {
      return (thrown as Error).message;
    }
  };

  it('columns that exchange names, or one that was dropped and added again', () => {
    expect(refused([source(1, 'b'), source(2, 'a')])).toMatch(/another one than before/);
    expect(refused([a, source(3, 'b')])).toMatch(/another one than before/);
    expect(refused([source(2, 'b'), source(1, 'a')])).toMatch(/another one than before/);
  });

  it('what cannot be told', () => {
    expect(refused([a, source(null, 'x')])).toMatch(/changed again on the source since/);
    expect(refused([a], { known: known(['a', 1], ['b', null]) })).toMatch(/another one than before/);
    expect(refused([a], { known: known(['a', 1]) })).toMatch(/that the source never had/);
    expect(refused([a, source(2, 'x')], { known: known(['a', 1], ['b', null], ['gone', 2]) })).toMatch(
      /another one than before/,
    );
  });

  it('values that are not known, unless there are no rows', () => {
    const random = source(3, 'x', { expression: 'random()', past: { kind: 'unknown', why: 'who knows' } });
    expect(refused([a, source(2, 'b'), random])).toMatch(/column "x" was added, and who knows/);
    expect(refused([a, source(2, 'b'), random], { isEmpty: true })).toEqual(['column "x" (integer) added']);
    expect(refused([a, source(2, 'b', { type: 'bigint' })])).toEqual(['column "b" is bigint now']);
    const change = { from: 'command', mayConvert: true, afterRows: false } as const;
    expect(refused([a, source(2, 'b', { type: 'bigint' })], { change })).toMatch(/changed its values/);
    expect(refused([a, source(2, 'b', { type: 'smallint' })])).toMatch(/no wider type/);
  });

  it('what rows before it in its transaction would not fit', () => {
    const change = { from: 'command', mayConvert: false, afterRows: true } as const;
    expect(refused([a], { change })).toMatch(/rows of the table before/);
    expect(refused([a, source(2, 'x')], { change })).toMatch(/rows of the table before/);
    const value = { past: { kind: 'value', text: '5' } } as const;
    expect(refused([a, source(2, 'b'), source(3, 'x', value)], { change })).toMatch(
      /rows of the table before/,
    );
    expect(refused([a, source(2, 'b'), source(3, 'x')], { change })).toEqual(['column "x" (integer) added']);
  });
});

it('what is known behind a change keeps the names of before, and knows each number under its newest', () => {
  const before = known(['a', 1], ['b', 2], ['left', 3, false]);
  const columns = [a, source(2, 'x', { type: 'bigint', typeOid: 20 }), source(3, 'out'), source(4, 'new')];
  const steps = planColumns({
    change: { from: 'command', mayConvert: false, afterRows: false },
    source: columns,
    target: [target('a'), target('b')],
    known: before,
    isOurs: false,
    isEmpty: false,
    own: SAME_NAMES,
  });
  const behind = knownBehind(before, columns, {
    steps,
    target: [target('a'), target('b')],
    nameThere: (name) => name,
  });
  expect(
    [...behind].map(([name, { attnum, forms }]) => [name, attnum, forms.map(({ type }) => type)]),
  ).toEqual([
    ['a', 1, ['integer']],
    ['b', null, ['integer']],
    ['left', null, []],
    ['x', 2, ['integer', 'bigint']],
    ['out', 3, []],
    ['new', 4, ['integer']],
  ]);
});

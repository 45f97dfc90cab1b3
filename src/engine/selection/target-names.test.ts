import { describe, expect, it } from 'vitest';
import { displayName } from '../change/relation.ts';
import { byTarget, targetNames, type PartitionPlaces } from './target-names.ts';

const table = (oid: number, name: string, rootOid: number | null = null) => ({
  oid,
  schema: 's',
  name,
  rootOid,
  columns: [{ name: 'id' }, { name: 'total' }],
});
const tables = [table(1, 'a'), table(2, 'b'), table(3, 'p'), table(4, 'p_1', 3), table(5, 'p_2', 3)];
const APART: PartitionPlaces = { partitions: 'together' };
const named = (rename: Readonly<Record<string, string>>, how = APART) =>
  targetNames(tables, { rename, capitalization: 'source', excludeColumns: [] }, how);
const targets = (rename: Readonly<Record<string, string>>, how = APART) =>
  tables.map(named(rename, how).table).map(displayName).join(' ');

describe('the names of tables on the target', () => {
  it('are their own, or what is said', () => {
    expect(targets({})).toBe('s.a s.b s.p s.p_1 s.p_2');
    expect(targets({ a: 't.x', 's.b': 't."s.b"' })).toBe('t.x t.s.b s.p s.p_1 s.p_2');
  });

  it('take partitions along with their table, but for those named themselves', () => {
    expect(targets({ p: 's.flat' })).toBe('s.a s.b s.flat s.flat s.flat');
    expect(targets({ p: 's.flat', p_2: 's.other' })).toBe('s.a s.b s.flat s.flat s.other');
  });

  it('leave partitions their own where those stay tables', () => {
    expect(targets({ p: 's.flat' }, { partitions: 'keep' })).toBe('s.a s.b s.flat s.p_1 s.p_2');
  });

  it('change with their schema, but for those said of a table', () => {
    expect(targets({ 's.*': '"My.S".*', b: 't.b' })).toBe('My.S.a t.b My.S.p My.S.p_1 My.S.p_2');
    expect(named({ 's.*': 't.*' }).schema('s')).toBe('t');
  });

  it('are in other letters where nothing else is said, columns too', () => {
    const names = targetNames(
      tables,
      { rename: { 's.a.total': 'sum', 's.p.id': 'No' }, capitalization: 'upper', excludeColumns: [] },
      APART,
    );
    const columns = tables.map((one) =>
      ['id', 'total', 'new'].map((name) => names.column(one, name)).join(' '),
    );
    expect(columns).toEqual([
      'ID sum NEW',
      'ID TOTAL NEW',
      ...Array.from({ length: 3 }, () => 'No TOTAL NEW'),
    ]);
    expect(tables.map(names.table).map(displayName).join(' ')).toBe('S.A S.B S.P S.P_1 S.P_2');
    expect(names.schema('pg_catalog')).toBe('pg_catalog');
  });

  it('are none for columns that are left out, in partitions too', () => {
    const names = (excludeColumns: string[]) =>
      targetNames(tables, { rename: {}, capitalization: 'source', excludeColumns }, APART);
    const left = (excludeColumns: string[]) =>
      tables.map((one) =>
        ['id', 'total'].filter((name) => names(excludeColumns).column(one, name) !== null).join(' '),
      );
    expect(left(['s.p.i?'])).toEqual(['id total', 'id total', 'total', 'total', 'total']);
    expect(left(['*.a.*', 's.*.total'])).toEqual(['', 'id', 'id', 'id', 'id']);
    expect(() => names(['s.p_1.id'])).toThrow(/column "s\.p_1\.id" \(to be left out\)/);
    expect(() => names(['s.a'])).toThrow(/not a column pattern/);
    const keyed = tables.map((one) => ({ ...one, identityColumns: ['id'] }));
    expect(() =>
      targetNames(keyed, { rename: {}, capitalization: 'source', excludeColumns: ['s.a.id'] }, APART),
    ).toThrow(/"id" is in the key of s\.a/);
  });

  it('stand for what comes later, or is gone, once the task has begun', () => {
    const wishes = {
      rename: { 's.a.gone': 'x', 's.dropped': 't.x', 's.dropped.id': 'x', 'dropped.*': 't.*' },
      capitalization: 'source',
      excludeColumns: ['s.p.hid*', 's.*.nowhere'],
    } as const;
    expect(() => targetNames(tables, wishes, APART)).toThrow(/dropped/);
    const leftOut = new Map([[2, new Set(['pay'])]]);
    const names = targetNames(tables, wishes, { ...APART, begun: { leftOut } });
    const called = (at: number, ...columns: string[]) =>
      columns.map((column) => names.column(tables[at]!, column) ?? '-').join(' ');
    expect(called(0, 'gone', 'hidden', 'pay')).toBe('x hidden pay');
    expect(called(1, 'gone', 'nowhere', 'pay')).toBe('gone - -');
    expect(called(3, 'hidden', 'id')).toBe('- id');
    const upper = { ...wishes, capitalization: 'upper' } as const;
    const twins = [{ ...table(1, 'a'), columns: [{ name: 'id' }, { name: 'ID' }] }];
    expect(() => targetNames(twins, { ...upper, rename: {}, excludeColumns: [] }, APART)).toThrow(
      /both be "ID"/,
    );
    expect(
      targetNames(twins, { ...upper, rename: {} }, { ...APART, begun: { leftOut } }).column(twins[0]!, 'ID'),
    ).toBe('ID');
  });

  it('are those of types too: the schema, and the table for its rows', () => {
    const names = named({ 's.*': 't.*', 's.a': 't."b c"' });
    expect(names.isType('s.mood[]', 't.mood[]')).toBe(true);
    expect(names.isType('s.a', 't."b c"')).toBe(true);
    expect(names.isType('s.mood', 's.mood')).toBe(true);
    expect(names.isType('s.mood', 't.mood[]')).toBe(false);
    expect(names.isType('integer', 'bigint')).toBe(false);
  });

  it('are one for several tables only where each of them is named', () => {
    expect(targets({ a: 's.x', b: 's.x' })).toBe('s.x s.x s.p s.p_1 s.p_2');
    expect(targets({ a: 's.b', b: 's.b' })).toBe('s.b s.b s.p s.p_1 s.p_2');
    expect(() => targets({ a: 's.b' })).toThrow(/s\.a and s\.b would go into one table, s\.b/);
    expect(() => targets({ p: 's.a' })).toThrow(/s\.a and s\.p and s\.p_1/);
  });

  it('are that of their table for the partitions of one that becomes plain, until they are no longer apart', () => {
    const plain = (rename: Readonly<Record<string, string>>, apart: readonly number[] = []) =>
      targets(rename, { partitions: 'plain', apart: new Set(apart) });
    expect(plain({})).toBe('s.a s.b s.p s.p s.p');
    expect(plain({}, [5])).toBe('s.a s.b s.p s.p s.p_2');
    expect(plain({ p: 's.flat', p_2: 's.other' })).toBe('s.a s.b s.flat s.flat s.other');
    expect(() => plain({ a: 's.p' })).toThrow(/s\.a and s\.p and s\.p_1/);
  });

  it.each([
    [{ gone: 's.x' }, /gone/],
    [{ a: 'x' }, /which schema/],
    [{ 's.a': `t.${'x'.repeat(64)}` }, /more than 63 bytes/],
    [{ 's.*': 't.x' }, /which schema/],
    [{ 's.a.id': 's.b' }, /which schema/],
    [{ 't.*': 'u.*' }, /t\.\*/],
    [{ 's.a.gone': 'x' }, /column "gone" of s\.a/],
    [{ 's.a.id': 'total' }, /"id" and "total" of s\.a would both be "total"/],
  ])('are refused where they make no sense: %j', (rename, problem) => {
    expect(() => targets(rename)).toThrow(problem);
  });

  it('tell which tables go together', () => {
    const groups = byTarget(tables, named({ a: 's.b', b: 's.b' }).table);
    expect([...groups.values()].map((group) => group.map(({ name }) => name))).toEqual([
      ['a', 'b'],
      ['p'],
      ['p_1'],
      ['p_2'],
    ]);
  });
});

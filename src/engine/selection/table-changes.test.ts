/** Types and keys that the user gives, and the tables they are of. */
import { describe, expect, it } from 'vitest';
import type { NamedTable } from './target-columns.ts';
import { targetNames } from './target-names.ts';

const table = (oid: number, name: string, rootOid: number | null = null): NamedTable => ({
  oid,
  schema: 's',
  name,
  rootOid,
  columns: [{ name: 'id' }, { name: 'a,b' }, { name: 'sum', generated: 's' }, { name: 'out' }],
});
const tables = [table(1, 'a'), table(2, 'b.c'), table(3, 'p'), table(4, 'p_1', 3)];
const changes = (columnTypes: Record<string, string>, primaryKeys: Record<string, string> = {}) =>
  targetNames(
    tables,
    { rename: {}, capitalization: 'source', excludeColumns: ['s.a.out'], columnTypes, primaryKeys },
    { partitions: 'keep' },
  );

describe('what the user changes of tables', () => {
  it('is a type of a column, in partitions too', () => {
    const names = changes({ 's.a.id': 'bigint', 's."b.c"."a,b"': 'text', 's.p.id': 'numeric' });
    expect(tables.map((one) => [names.type(one, 'id'), names.type(one, 'a,b')])).toEqual([
      ['bigint', null],
      [null, 'text'],
      ['numeric', null],
      ['numeric', null],
    ]);
    expect(names.changesTables).toBe(true);
    expect(changes({}).changesTables).toBe(false);
  });

  it('is a primary key, of columns in their order', () => {
    const names = changes({}, { a: ' "a,b" , id', 's.p': 'id' });
    expect(tables.map(names.primaryKey)).toEqual([['a,b', 'id'], null, ['id'], ['id']]);
    expect(names.changesTables).toBe(true);
  });

  it.each([
    [{ 's.gone.id': 'int' }, {}, /"s\.gone\.id" \(to get another type\) matches no table/],
    [{ 's.a.gone': 'int' }, {}, /column "gone" of s\.a matches/],
    [{ 's.a.out': 'int' }, {}, /Column "out" of s\.a is left out/],
    [{ 's.a': 'int' }, {}, /"s\.a" is not a column/],
    [{ 's.p_1.id': 'int' }, {}, /s\.p_1 is a partition of s\.p/],
    [{}, { gone: 'id' }, /"gone" \(to get another primary key\) matches no table/],
    [{}, { a: 'id,id' }, /"a=id,id" is not a primary key/],
    [{}, { a: 'id,' }, /not a table pattern/],
    [{}, { 's.a.id': 'id' }, /is not a primary key/],
    [{}, { a: 'x' }, /column "x" of s\.a matches/],
    [{}, { a: 'id,out' }, /Column "out" of s\.a is left out/],
    [{}, { a: 'id,sum' }, /Column "sum" of s\.a is generated/],
    [{}, { p_1: 'id' }, /s\.p_1 is a partition of s\.p/],
  ])('is refused where it makes no sense: %j %j', (types, keys, problem) => {
    expect(() => changes(types, keys)).toThrow(problem);
  });
});

import { describe, expect, it } from 'vitest';
import { displayName } from '../change/relation.ts';
import { byTarget, targetNames } from './target-names.ts';

const table = (oid: number, name: string, rootOid: number | null = null) => ({
  oid,
  schema: 's',
  name,
  rootOid,
});
const tables = [table(1, 'a'), table(2, 'b'), table(3, 'p'), table(4, 'p_1', 3), table(5, 'p_2', 3)];
const targets = (rename: Readonly<Record<string, string>>) =>
  tables.map(targetNames(tables, rename)).map(displayName).join(' ');

describe('the names of tables on the target', () => {
  it('are their own, or what is said', () => {
    expect(targets({})).toBe('s.a s.b s.p s.p_1 s.p_2');
    expect(targets({ a: 't.x', 's.b': 't."s.b"' })).toBe('t.x t.s.b s.p s.p_1 s.p_2');
  });

  it('take partitions along with their table, but for those named themselves', () => {
    expect(targets({ p: 's.flat' })).toBe('s.a s.b s.flat s.flat s.flat');
    expect(targets({ p: 's.flat', p_2: 's.other' })).toBe('s.a s.b s.flat s.flat s.other');
  });

  it('are one for several tables only where each of them is named', () => {
    expect(targets({ a: 's.x', b: 's.x' })).toBe('s.x s.x s.p s.p_1 s.p_2');
    expect(targets({ a: 's.b', b: 's.b' })).toBe('s.b s.b s.p s.p_1 s.p_2');
    expect(() => targets({ a: 's.b' })).toThrow(/s\.a and s\.b would go into one table, s\.b/);
    expect(() => targets({ p: 's.a' })).toThrow(/s\.a and s\.p and s\.p_1/);
  });

  it('are that of their table for the partitions of one that becomes plain, until they are no longer apart', () => {
    const plain = (rename: Readonly<Record<string, string>>, apart: readonly number[] = []) =>
      tables
        .map(targetNames(tables, rename, 'plain', new Set(apart)))
        .map(displayName)
        .join(' ');
    expect(plain({})).toBe('s.a s.b s.p s.p s.p');
    expect(plain({}, [5])).toBe('s.a s.b s.p s.p s.p_2');
    expect(plain({ p: 's.flat', p_2: 's.other' })).toBe('s.a s.b s.flat s.flat s.other');
    expect(() => plain({ a: 's.p' })).toThrow(/s\.a and s\.p and s\.p_1/);
  });

  it.each([
    [{ gone: 's.x' }, /gone/],
    [{ a: 'x' }, /which schema/],
  ])('are refused where they make no sense: %j', (rename, problem) => {
    expect(() => targets(rename)).toThrow(problem);
  });

  it('tell which tables go together', () => {
    const groups = byTarget(tables, targetNames(tables, { a: 's.b', b: 's.b' }));
    expect([...groups.values()].map((group) => group.map(({ name }) => name))).toEqual([
      ['a', 'b'],
      ['p'],
      ['p_1'],
      ['p_2'],
    ]);
  });
});

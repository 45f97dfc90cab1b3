import { describe, expect, it } from 'vitest';
import { AppError } from '../../base/errors/app-error.ts';
import { selectTables } from './selection.ts';

const tables = [
  { schema: 'public', name: 'orders' },
  { schema: 'public', name: 'order_items' },
  { schema: 'audit', name: 'orders' },
  { schema: 'odd.one', name: 'a*b"c' },
].map((name, at) => ({ ...name, oid: at + 1, rootOid: null }));
const names = (include: string[], exclude: string[] = []) =>
  selectTables(tables, include, exclude).map((t) => `${t.schema}/${t.name}`);

describe('selecting tables by pattern', () => {
  it('takes all tables when no pattern is given', () => {
    expect(names([])).toHaveLength(4);
  });

  it('matches a bare name in every schema and a qualified one in its own', () => {
    expect(names(['orders'])).toEqual(['public/orders', 'audit/orders']);
    expect(names(['audit.orders'])).toEqual(['audit/orders']);
  });

  it('expands wildcards and subtracts exclusions', () => {
    expect(names(['public.*'], ['order_*'])).toEqual(['public/orders']);
    expect(names(['order?'])).toEqual(['public/orders', 'audit/orders']);
  });

  it('keeps dots, stars and quotes literal inside double quotes', () => {
    expect(names(['"odd.one"."a*b""c"'])).toEqual(['odd.one/a*b"c']);
  });

  it.each([
    [['nosuch'], []],
    [[], ['publik.orders']],
    [['ORDERS'], []],
  ])('refuses a pattern that matches nothing: %j %j', (include, exclude) => {
    expect(() => names(include, exclude)).toThrow(/matches no table/);
  });

  it('takes the partitions of a selected table along, and never alone', () => {
    const withPartition = [...tables, { schema: 'parts', name: 'orders_2024', oid: 9, rootOid: 1 }];
    expect(selectTables(withPartition, ['public.orders'], []).map((t) => t.name)).toEqual([
      'orders',
      'orders_2024',
    ]);
    expect(() => selectTables(withPartition, ['orders_2024'], [])).toThrow(/matches no table/);
  });

  it('refuses a selection that excludes everything', () => {
    expect(() => names(['orders'], ['*'])).toThrow(AppError);
  });

  it.each(['a.b.c', '"open', '.x', 'x.'])('refuses the malformed pattern %s', (pattern) => {
    expect(() => names([pattern])).toThrow(/not a table pattern/);
  });
});

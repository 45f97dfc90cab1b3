/** How a table is loaded: binary only where both ends mean the same bytes. */
import { describe, expect, it } from 'vitest';
import type { ColumnInfo, TableInfo } from '../../pg/catalog/tables/tables.ts';
import { planLoad } from './load-plan.ts';

function column(name: string, typeOid: number, type: string, more: Partial<ColumnInfo> = {}): ColumnInfo {
  return {
    attnum: 1,
    name,
    typeOid,
    typmod: -1,
    type,
    bareType: type,
    typeKind: 'b',
    isArray: false,
    isBuiltinType: typeOid < 16_384,
    notNull: false,
    generated: '',
    identity: '',
    deterministic: true,
    ...more,
  };
}

const FILL = { mode: 'fill', mayLack: false, columnOf: (column: string) => column } as const;

function table(...columns: ColumnInfo[]): TableInfo {
  return {
    oid: 1,
    schema: 'shop',
    name: 'My "orders"',
    kind: 'r',
    isPartition: false,
    rootOid: null,
    persistence: 'permanent',
    replicaIdentity: 'default',
    identityColumns: [],
    estimatedRows: 0,
    bytes: 0n,
    columns,
  };
}

const id = column('id', 23, 'integer');

const mood = column('mood', 16_500, 'shop.mood', { typeKind: 'e' });

describe('the plan of a load', () => {
  it('is binary when every column has the same portable built-in type on both ends', () => {
    const both = table(id, column('tags', 1009, 'text[]'), column('at', 1184, 'timestamp with time zone'));
    expect(planLoad(both, both, FILL)).toEqual({
      columns: ['id', 'tags', 'at'],
      binary: true,
      before: null,
      after: null,
      leftOut: [],
      copyIn: 'COPY "shop"."My ""orders""" ("id", "tags", "at") FROM STDIN (FORMAT binary)',
    });
  });

  it.each([
    ['an enum', column('x', 16_500, 'shop.mood', { typeKind: 'e' }), null],
    ['a domain', column('x', 16_501, 'shop.email', { typeKind: 'd' }), null],
    ['an extension type of the same oid', column('x', 16_502, 'public.citext'), null],
    ['regclass, an oid of this server', column('x', 2205, 'regclass'), null],
    ['regclass[]', column('x', 2210, 'regclass[]', { isArray: true }), null],
    ['xml', column('x', 142, 'xml'), null],
    ['another integer', column('x', 23, 'integer'), column('x', 20, 'bigint')],
    ['json that becomes jsonb', column('x', 114, 'json'), column('x', 3802, 'jsonb')],
    [
      'another precision',
      column('x', 1700, 'numeric(10,2)', { bareType: 'numeric' }),
      column('x', 1700, 'numeric(8,1)', { bareType: 'numeric' }),
    ],
  ])('is text when there is %s', (_, from, into) => {
    const plan = planLoad(table(id, from), table(id, into ?? from), FILL);
    expect(plan).toMatchObject({ binary: false, columns: ['id', 'x'] });
    expect(plan.copyIn).toMatch(/FROM STDIN$/);
  });

  it('leaves out what either end computes, and keeps identity columns', () => {
    const stored = column('x', 23, 'integer', { generated: 's' });
    const plain = column('x', 23, 'integer');
    const always = column('id', 23, 'integer', { identity: 'a' });
    expect(planLoad(table(always, stored), table(always, plain), FILL).columns).toEqual(['id']);
    expect(planLoad(table(always, plain), table(always, stored), FILL).columns).toEqual(['id']);
  });

  it('finds columns by name, in the order of the source', () => {
    const name = column('name', 25, 'text');
    expect(planLoad(table(id, name), table(column('extra', 25, 'text'), name, id), FILL).columns).toEqual([
      'id',
      'name',
    ]);
  });

  it('is text and names no column for a table without any', () => {
    expect(planLoad(table(), table(), FILL)).toEqual({
      columns: [],
      binary: false,
      before: null,
      after: null,
      leftOut: [],
      copyIn: 'COPY "shop"."My ""orders""" FROM STDIN',
    });
  });

  it('refuses a target without the table or without a column', () => {
    expect(() => planLoad(table(id), undefined, FILL)).toThrow(
      expect.objectContaining({ code: 'TARGET_TABLE_MISSING' }),
    );
    expect(() => planLoad(table(id, column('gone', 25, 'text')), table(id), FILL)).toThrow(
      expect.objectContaining({ code: 'RELATION_CHANGED', message: expect.stringContaining('"gone"') }),
    );
  });

  it('of a table that is ours to empty writes its rows as old ones', () => {
    expect(planLoad(table(id), table(id), { ...FILL, mode: 'freeze' })).toMatchObject({
      before: 'TRUNCATE ONLY "shop"."My ""orders"""',
      copyIn: 'COPY "shop"."My ""orders""" ("id") FROM STDIN (FORMAT binary, FREEZE)',
      after: null,
    });
  });

  it('beside rows that are kept goes through a table of its own', () => {
    const plan = planLoad(table(id, mood), table(id, mood), { ...FILL, mode: 'keep' });
    expect(plan.copyIn).toBe('COPY pg_temp.opendts_stage ("id", "mood") FROM STDIN');
    expect(plan.after).toBe(
      'INSERT INTO "shop"."My ""orders""" ("id", "mood") OVERRIDING SYSTEM VALUE SELECT "id", "mood" FROM pg_temp.opendts_stage ON CONFLICT DO NOTHING',
    );
  });

  it('into a table of the user leaves out what that lacks, and says so', () => {
    const extra = column('extra', 25, 'text');
    expect(planLoad(table(id, extra), table(id), { ...FILL, mayLack: true })).toMatchObject({
      columns: ['id'],
      leftOut: ['extra'],
    });
  });
});

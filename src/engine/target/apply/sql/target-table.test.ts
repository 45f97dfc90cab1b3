/** A source relation joined to a target table whose columns have types of their own. */
import { describe, expect, it } from 'vitest';
import type { Relation } from '../../../change/relation.ts';
import type { ColumnInfo } from '../../../pg/catalog/tables/tables.ts';
import { joinTable, SAME_NAMES, type TargetShape } from './target-table.ts';

const [INT, BIGINT, TEXT, VARCHAR, NUMERIC] = [23, 20, 25, 1043, 1700];
const NAMES: Readonly<Record<number, string>> = {
  23: 'integer',
  20: 'bigint',
  25: 'text',
  1043: 'character varying',
  1700: 'numeric',
};

const column = (name: string, typeOid: number, more: Partial<ColumnInfo> = {}): ColumnInfo => ({
  attnum: 1,
  name,
  typeOid,
  typmod: -1,
  type: NAMES[typeOid] ?? '',
  bareType: NAMES[typeOid] ?? '',
  typeKind: 'b',
  isArray: false,
  isBuiltinType: true,
  notNull: true,
  generated: '',
  identity: '',
  deterministic: true,
  ...more,
});
const table = { schema: 's', name: 't' };
const relation = (typeOid: number): Relation => ({
  ...table,
  oid: 1,
  replicaIdentity: 'default',
  columns: [
    { name: 'id', typeOid, typmod: -1, isKey: true },
    { name: 'v', typeOid: INT, typmod: -1, isKey: false },
  ],
});
const shape = (columns: readonly ColumnInfo[], more: Partial<TargetShape> = {}): TargetShape => ({
  name: table,
  isPartitioned: false,
  columns,
  keys: [
    { columns: ['v', 'id'], equals: ['=', '='] },
    { columns: ['id'], equals: ['='] },
  ],
  names: SAME_NAMES,
  leftOut: new Set(),
  sourceColumns: new Set(['id', 'v']),
  known: new Map(),
  source: table,
  sources: [table],
  isOurs: true,
  fires: false,
  ...more,
});
const join = (from: number, into: ColumnInfo, more: Partial<TargetShape> = {}) =>
  joinTable(relation(from), shape([into, column('v', INT)], more));

describe('a table whose key has another type', () => {
  it('is found by the key that the source sends, whichever the primary key is', () => {
    expect(join(INT, column('id', BIGINT)).key?.map(({ at }) => at)).toEqual([0]);
  });

  it.each([
    [INT, column('id', BIGINT), true],
    [BIGINT, column('id', INT), true],
    [VARCHAR, column('id', TEXT), true],
    [INT, column('id', TEXT), true],
    [VARCHAR, column('id', TEXT, { deterministic: false }), false],
    [NUMERIC, column('id', TEXT), false],
    [INT, column('id', NUMERIC), false],
    [TEXT, column('id', VARCHAR), false],
  ])('folds changes where equal keys have one text: %i into %o', (from, into, folds) => {
    expect(join(from, into).folds).toBe(folds);
  });
});

it('a type that the user has given stays, but not what the source makes of its own', () => {
  const forms = [{ typeOid: INT, typmod: -1, type: 'integer' }];
  const known = new Map([['id', { forms, isLater: false, attnum: 1 }]]);
  const names = { ...SAME_NAMES, isRetyped: (name: string) => name === 'id' };
  expect(join(INT, column('id', NUMERIC), { known, names }).columns[0]?.type).toBe('numeric');
  expect(() => join(BIGINT, column('id', NUMERIC), { known, names })).toThrow(
    /column "id" was integer and has been given another type/,
  );
});

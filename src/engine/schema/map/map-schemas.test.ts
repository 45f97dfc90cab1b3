import { expect, it } from 'vitest';
import type { NameWishes } from '../../selection/renamings.ts';
import { targetNames } from '../../selection/target-names.ts';
import { mapSchemas } from './map-schemas.ts';

const TABLES = [
  { oid: 1, schema: '16384', name: 't', rootOid: null, columns: [{ name: 'id' }] },
  { oid: 2, schema: 'b', name: 'u', rootOid: null, columns: [{ name: 'id' }] },
];
const MODEL = {
  schemas: [
    { key: 'pg_namespace:16385', name: '16384' },
    { key: 'pg_namespace:16384', name: 'b' },
    { key: 'pg_namespace:16386', name: 'c' },
  ],
  tables: TABLES.map((info) => ({ key: `pg_class:${info.oid}`, info })),
  sequences: [
    { key: 'pg_class:3', owner: { table: 'pg_class:2', attnum: 1 } },
    { key: 'pg_class:4', owner: null },
  ],
  dependencies: [
    { object: 'pg_class:1', on: 'pg_namespace:16385', isPart: false },
    { object: 'pg_class:2', on: 'pg_namespace:16384', isPart: false },
    { object: 'pg_class:3', on: 'pg_namespace:16384', isPart: false },
    { object: 'pg_class:4', on: 'pg_namespace:16384', isPart: false },
    { object: 'pg_class:3', on: 'pg_class:2', isPart: true },
  ],
};

const mapBy = (rename: NameWishes['rename']) =>
  mapSchemas(
    MODEL,
    targetNames(TABLES, { rename, capitalization: 'source', excludeColumns: [] }, { partitions: 'keep' }),
  );

/** Schemas by their keys, and what is in which. */
function mapped(rename: NameWishes['rename']): string[] {
  const { schemas, dependencies } = mapBy(rename);
  return [
    schemas.map(({ key, name }) => `${name}=${key.slice('pg_namespace:'.length)}`).join(' '),
    ...dependencies.map(({ object, on }) => `${object.slice(9)} in ${on}`),
  ];
}

it('keeps each schema where only its name is another one', () => {
  expect(mapped({ 'b.*': 'x.*' })).toEqual([
    '16384=16385 x=16384 c=16386',
    '1 in pg_namespace:16385',
    '2 in pg_namespace:16384',
    '3 in pg_namespace:16384',
    '4 in pg_namespace:16384',
    '3 in pg_class:2',
  ]);
});

it('makes one of those that come together', () => {
  expect(mapped({ 'b.*': 'x.*', '16384.*': 'x.*' })).toEqual([
    'x=16385 c=16386',
    '1 in pg_namespace:16385',
    '2 in pg_namespace:16385',
    '3 in pg_namespace:16385',
    '4 in pg_namespace:16385',
    '3 in pg_class:2',
  ]);
  expect(mapBy({ 'b.*': 'x.*', '16384.*': 'x.*' }).together).toEqual([
    { name: 'x', schemas: MODEL.schemas.slice(0, 2) },
  ]);
});

it('makes one that only a table goes to, with its sequence, which is no other for being called as a number', () => {
  expect(mapped({ '16384.*': 'was a number.*', 'b.u': '16384.u' })).toEqual([
    'was a number=16385 b=16384 c=16386 16384=new:16384',
    '1 in pg_namespace:16385',
    '4 in pg_namespace:16384',
    '3 in pg_class:2',
    '2 in pg_namespace:new:16384',
    '3 in pg_namespace:new:16384',
  ]);
  expect(mapped({ 'b.u': 'c.u' }).slice(-2)).toEqual(['2 in pg_namespace:16386', '3 in pg_namespace:16386']);
});

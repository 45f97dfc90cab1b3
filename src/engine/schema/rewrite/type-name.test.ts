import { describe, expect, it } from 'vitest';
import { loadParser } from './parser.ts';
import { readTypeName } from './type-name.ts';

const parser = await loadParser();
const read = (type: string) => readTypeName(parser, type, 's.t.c');

describe('a type that a person writes', () => {
  it.each([
    ['int', 'integer'],
    ['int8', 'bigint'],
    [' BIGINT ', 'bigint'],
    ['dec(20,4)', 'numeric(20,4)'],
    ['numeric(9)', 'numeric(9,0)'],
    ['numeric(2,-1)', 'numeric(2,-1)'],
    ['varchar(40)', 'character varying(40)'],
    ['text', 'text'],
    ['char', 'character(1)'],
    ['"char"', '"char"'],
    ['bpchar', 'bpchar'],
    ['float(10)', 'real'],
    ['timestamptz', 'timestamp with time zone'],
    ['timestamp(3)', 'timestamp(3) without time zone'],
    ['interval', 'interval'],
    ['interval(3)', 'interval(3)'],
    ['bit(3)', 'bit(3)'],
    ['pg_catalog.int4', 'integer'],
    ['text[]', 'text[]'],
    ['int array[3]', 'integer[]'],
    ['shop.mood', '"shop"."mood"'],
    ['"My shop"."m""d"[]', '"My shop"."m""d"[]'],
    ['gis.geometry(Point,4326)', '"gis"."geometry"("point",4326)'],
    ['int -- of a size\n', 'integer'],
    ['int /* , evil text */', 'integer'],
  ])('%s is %s', (written, sql) => {
    expect(read(written).sql).toBe(sql);
  });

  it('has a form without length, and a name where it is not of the server', () => {
    expect(read('varchar(40)[]')).toMatchObject({ bare: 'character varying[]', name: null });
    expect(read('gis.geometry(Point)')).toMatchObject({
      bare: '"gis"."geometry"',
      name: { schema: 'gis', name: 'geometry' },
    });
  });

  it.each([
    '',
    'int, 1',
    'int, evil text',
    'int) , (1',
    'int; DROP TABLE t',
    'int AS x',
    'int x',
    'int + 1',
    'int::text',
    'int FROM t',
    'int WHERE true',
    'int LIMIT 1',
    'int UNION SELECT 1',
    'int ORDER BY 1',
    'text COLLATE "C"',
    'setof int',
    's.t.c%type',
    'a.b.c',
    'interval year',
    'int8(3)',
    'numeric(a.b)',
    'numeric(1 + 1)',
    'int NOT NULL',
    'int GENERATED ALWAYS AS IDENTITY',
    "int DEFAULT 'x'",
  ])('is refused where it is something else: %s', (written) => {
    expect(() => read(written)).toThrow(/is not the name of a type, to be given to s\.t\.c/);
  });
});

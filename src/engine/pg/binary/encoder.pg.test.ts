/** What we write in binary form a server reads as the very value whose text we had. */
import fc from 'fast-check';
import { describe, expect, inject, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../../test/database.ts';
import { packedRow } from '../../../../test/packed.ts';
import { byteText } from '../../change/change.ts';
import { Pipeline } from '../wire/pipeline.ts';
import { encoderFor } from './encoder.ts';
import { BinaryRows } from './rows.ts';

const digits = (max: number) => fc.stringMatching(new RegExp(`^[0-9]{1,${max}}$`));
const sign = fc.constantFrom('', '-');
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0')),
  fc.constantFrom('NULL', '', '\\', '"', ',', '{}', 'a,b', '\t\n', 'x'.repeat(500)),
);
const int8 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
const day = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
const iso = day.map((value) => value.toISOString().slice(0, 10));
const clock = fc
  .tuple(
    fc.nat(23),
    fc.nat(59),
    fc.nat(59),
    fc.oneof(
      fc.constant(''),
      digits(6).map((part) => `.${part}`),
    ),
  )
  .map(([h, m, s, part]) => `${[h, m, s].map((n) => String(n).padStart(2, '0')).join(':')}${part}`);
const timestamp = fc.oneof(
  fc.tuple(iso, clock).map(([date, time]) => `${date} ${time}`),
  fc.constantFrom(
    '294276-12-31 23:59:59.999999',
    '1999-12-31 23:59:59.5',
    '2000-01-01 00:00:00',
    '12345-06-07 08:09:10',
  ),
);
const numeric = fc.oneof(
  fc.tuple(sign, digits(30)).map(([minus, whole]) => `${minus}${whole}`),
  fc.tuple(sign, digits(20), digits(20)).map(([minus, whole, part]) => `${minus}${whole}.${part}`),
  fc.constantFrom('NaN', '0', '0.0000', '-0.00012', '10000', '99990000.00009999'),
);
const json = fc.json();

/** Texts of values, by type; the server makes its own form of them first. */
const VALUES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  boolean: fc.constantFrom('true', 'false'),
  smallint: fc.integer({ min: -32_768, max: 32_767 }).map(String),
  integer: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map(String),
  bigint: fc.oneof(int8.map(String), fc.integer().map(String)),
  oid: fc.nat({ max: 2 ** 32 - 1 }).map(String),
  'double precision': fc.oneof(
    fc.double().map(String),
    fc.constantFrom('NaN', 'Infinity', '-Infinity', '-0', '5e-324'),
  ),
  numeric,
  'numeric(14,2)': fc
    .tuple(sign, digits(12), digits(2))
    .map(([minus, whole, part]) => `${minus}${whole}.${part}`),
  text,
  'varchar(600)': text,
  'character(40)': fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
  json,
  jsonb: json.filter((value) => !value.includes('\\u0000')),
  uuid: fc.uuid(),
  bytea: fc.uint8Array({ maxLength: 300 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  date: fc.oneof(iso, fc.constantFrom('5874897-12-31', '0001-01-01')),
  timestamp,
  timestamptz: timestamp.map((value) => `${value}+00`),
  state: fc.constantFrom('new', 'a "b",c'),
  'text[]': fc.array(fc.option(text), { maxLength: 5 }).map(literalOf),
  'integer[]': fc
    .array(fc.option(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map(String)), { maxLength: 5 })
    .map(literalOf),
  'numeric[]': fc.array(fc.option(numeric), { maxLength: 3 }).map(literalOf),
  'timestamptz[]': fc
    .array(fc.option(timestamp.map((value) => `${value}+00`)), { maxLength: 3 })
    .map(literalOf),
};

function literalOf(elements: readonly (string | null)[]): string {
  return `{${elements.map((one) => (one === null ? 'NULL' : `"${one.replaceAll(/["\\]/g, String.raw`\$&`)}"`)).join(',')}}`;
}

/** What the server makes of these texts of one type, and what of our binary form of its own text of them. */
async function thereAndBack(db: TestDatabase, type: string, values: readonly (string | null)[]) {
  await db.session.query(
    `DROP TABLE IF EXISTS there, back; CREATE TABLE there (at int, v ${type}); CREATE TABLE back (LIKE there)`,
  );
  for (const [at, value] of values.entries())
    await db.session.query(`INSERT INTO there VALUES ($1::int, $2::${type})`, [String(at), value]);
  const read = async (table: string) =>
    (await db.session.query(`SELECT v FROM ${table} ORDER BY at`)).map(({ v }) => v ?? null);
  const { oid, kind } = await db.session.one(
    `SELECT atttypid::text AS oid, typtype AS kind FROM pg_attribute JOIN pg_type t ON t.oid = atttypid WHERE attrelid = 'there'::regclass AND attname = 'v'`,
  );
  const there = await read('there');
  const column = { typeOid: Number(oid), typeKind: kind ?? '' };
  const encoders = [encoderFor(23, { typeOid: 23, typeKind: 'b' }), encoderFor(column.typeOid, column)];
  if (encoders[0] == null || encoders[1] == null) throw new Error(`no encoder for ${type}`);
  const rows = new BinaryRows([encoders[0], encoders[1]], 100);
  for (const [at, value] of there.entries()) {
    const cells = [byteText(String(at)), value === null ? null : byteText(value)];
    const isKnown =
      at % 2 === 0
        ? rows.put(cells)
        : rows.putPacked(packedRow([byteText('left out'), ...cells]), [false, true, true]);
    if (!isKnown) throw new Error(`not known: ${value}`);
  }
  const session = await db.open();
  const pipeline = new Pipeline(session);
  await pipeline.run([
    { sql: 'COPY public.back FROM STDIN (FORMAT binary)', values: [], copyData: rows.bytes() },
  ]);
  pipeline.close();
  await session.end();
  return { there, back: await read('back') };
}

const majors = Object.keys(inject('servers')).map(Number) as TestDatabase['major'][];

describe.each(majors)('a server of version %i', (major) => {
  it('reads values of every type as what they were', async () => {
    await using db = await freshDatabase(major);
    await db.session.query(
      `CREATE TYPE state AS ENUM ('new', 'a "b",c'); SET TimeZone = 'UTC'; SET extra_float_digits = 3`,
    );
    for (const [type, value] of Object.entries(VALUES)) {
      const values = fc.sample(fc.option(value, { freq: 10 }), 60);
      const { there, back } = await thereAndBack(db, type, values);
      expect([type, back]).toEqual([type, there]);
    }
  });
});

describe('a text that is not known', () => {
  it.each([
    [1082, 'infinity'],
    [1082, '0044-03-15 BC'],
    [1114, '-infinity'],
    [1184, '0044-03-15 12:00:00+00 BC'],
    [1184, '2020-01-01 00:00:00+02'],
    [23, ''],
    [701, ''],
    [1700, '1e5'],
    [17, 'abc'],
    [2950, 'not-a-uuid'],
    [1009, '[0:1]={a,b}'],
    [1009, '{{a},{b}}'],
    [1007, '{x}'],
  ])('is left to the server (type %i: %s)', (oid, value) => {
    const encoder = encoderFor(oid, { typeOid: oid, typeKind: 'b' });
    if (encoder === null) throw new Error('no encoder');
    expect(new BinaryRows([encoder], 10).put([byteText(value)])).toBe(false);
  });

  it.each([
    ['a type of another kind', 3910, 3910],
    ['another type', 23, 20],
    ['a type whose text is not exact', 700, 700],
  ])('is every one of %s', (_, source, target) => {
    expect(encoderFor(source, { typeOid: target, typeKind: 'b' })).toBeNull();
  });
});

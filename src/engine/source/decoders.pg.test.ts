/** Random tables, values and changes on a real server, decoded by both plugins: the same changes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { UNCHANGED, type Cell, type Change } from '../change/change.ts';
import { parseLsn, type Lsn } from '../change/lsn.ts';
import type { Relation } from '../change/relation.ts';
import { readTables, type TableInfo } from '../pg/catalog/tables/tables.ts';
import { ident, literal } from '../pg/ident.ts';
import { openChangeReader } from './change-reader.ts';
import { endOfWal } from '../pg/wal-position.ts';
import type { Decoder } from '../pg/slot/decoder.ts';

const TYPES = `
  CREATE SCHEMA "Od""d 'sch:ema]";
  CREATE TYPE "Od""d 'sch:ema]"."e]: 'num" AS ENUM ('a', 'b''c', 'x]:''y');
  CREATE TYPE "Od""d 'sch:ema]".pair AS (a int, "b ""c" text);
  CREATE DOMAIN "Od""d 'sch:ema]".flag AS bool; CREATE DOMAIN "Od""d 'sch:ema]".small AS int2 CHECK (VALUE < 1000);
  CREATE TYPE "Od""d 'sch:ema]".spans AS RANGE (subtype = float8)`;

const odd = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
  fc.constantFrom(
    '',
    "'",
    "''",
    'null',
    'unchanged-toast-datum',
    ' new-tuple: id[integer]:1',
    `x' old-key: id[integer]:1`,
    'a\nb\r\n\tc',
    String.raw`\\ \n \x`,
    'żółw 🐢',
    ': TRUNCATE: (no-flags)',
    "B'1'",
    'true',
  ),
);
const big = fc.integer({ min: 0, max: 9 }).map((n) => `${n}'`.repeat(2500));
const of = (...texts: string[]) => fc.constantFrom(...texts);
const own = (name: string) => `"Od""d 'sch:ema]".${name}`;

/** Types as they are declared, and texts that they read. */
const KINDS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  text: fc.oneof({ weight: 3, arbitrary: odd }, { weight: 1, arbitrary: big }),
  'varchar(4000)': odd,
  'char(5)': of('', 'a', "it's", 'ab '),
  '"char"': of('', 'x', "'", ' '),
  name: of('', "o'clock"),
  int2: fc.integer({ min: -32768, max: 32767 }).map(String),
  int4: fc.integer().map(String),
  int8: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  oid: of('0', '4294967295'),
  float4: of('NaN', 'Infinity', '-Infinity', '-0', '0.1', '1e-40', '3.4e38'),
  float8: fc.oneof(fc.double().map(String), of('NaN', '-Infinity', '1e-300')),
  numeric: of('NaN', '0', '1.50', '-0.00', '1e40', '0.000000001'),
  'numeric(10,2)': of('1.5', '-99999999.99'),
  bool: of('t', 'f'),
  'bit(3)': of('101', '000'),
  varbit: of('', '1', '0101'),
  bytea: of('\\x', '\\x00', '\\xdeadbeef27'),
  money: of('1.50', '-3'),
  uuid: of('00000000-0000-0000-0000-000000000000', 'ffffffff-0000-4000-8000-00000000000a'),
  date: of('2026-02-28', '0044-03-15 BC', 'infinity'),
  timestamptz: of('2026-01-01 12:00:00.123456+08', '-infinity', '0001-01-01 BC'),
  time: of('24:00:00', '00:00:00.000001'),
  interval: of('1 year -2 days 03:04:05.6', '0'),
  json: fc.oneof(
    odd.map((text) => JSON.stringify({ a: text })),
    of('null', ' [1 , 2] ', '"\\u0041"'),
  ),
  jsonb: of('null', '{"a":[1,"b\'c"]}'),
  xml: of("<a>it's</a>", 'plain'),
  'int4[]': of('{}', '{1,NULL,3}', '[0:1]={7,8}'),
  'text[]': of('{}', `{"a b","it's","say \\"x\\"",NULL,"null"}`, '{{a,b},{c,d}}'),
  point: of('(1,2)'),
  box: of('(1,2),(3,4)'),
  inet: of('10.0.0.1/8', '::1'),
  macaddr: of('08:00:2b:01:02:03'),
  tsvector: of(`'it''s' 'x':1A`),
  int4range: of('empty', '[1,5)', '(,)'),
  [own('spans')]: of('[1.5,2.5]'),
  [own(`"e]: 'num"`)]: of('a', "b'c", "x]:'y"),
  [own(`"e]: 'num"[]`)]: of(`{a,"b'c"}`),
  [own('pair')]: of('(1,"it\'s, ""x""")', '(,)'),
  [own('flag')]: of('t', 'f'),
  [own('small')]: of('7'),
};

const columnName = fc.oneof(
  of(
    'plain',
    'select',
    'MixedCase',
    'old-key',
    'new-tuple',
    'sp ace',
    'a"b',
    "it's",
    'b]:',
    'x[y',
    'ü',
    'table',
  ),
  fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 12 }),
);
const cell = (kind: string) => fc.option(KINDS[kind] ?? of(''), { freq: 5 });

interface Column {
  readonly name: string;
  readonly kind: string;
}

type Identity = 'key' | 'pair' | 'index' | 'full';

const table = fc.record({
  name: columnName,
  identity: fc.constantFrom<Identity>('key', 'pair', 'index', 'full'),
  dropped: fc.boolean(),
  generated: fc.boolean(),
  columns: fc.uniqueArray(fc.record({ name: columnName, kind: fc.constantFrom(...Object.keys(KINDS)) }), {
    selector: ({ name }) => name,
    minLength: 0,
    maxLength: 6,
  }),
});
type Table = typeof table extends fc.Arbitrary<infer T> ? T : never;

const change = fc.record({
  table: fc.nat(),
  kind: fc.constantFrom(
    'insert',
    'insert',
    'insert',
    'update',
    'update',
    'move',
    'delete',
    'truncate',
    'undone',
  ),
  id: fc.integer({ min: 1, max: 6 }),
  column: fc.nat(),
});

const scenario = fc
  .uniqueArray(table, { selector: ({ name }) => name, minLength: 1, maxLength: 3 })
  .chain((tables) =>
    fc.record({
      tables: fc.constant(tables),
      values: fc.array(
        fc.tuple(...tables.map(({ columns }) => fc.tuple(...columns.map(({ kind }) => cell(kind))))),
        { minLength: 6, maxLength: 6 },
      ),
      transactions: fc.array(fc.array(change, { minLength: 1, maxLength: 6 }), {
        minLength: 3,
        maxLength: 12,
      }),
    }),
  );
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

const nameOf = ({ name }: Table) => `${own(ident(name))}`;

function create(one: Table): string {
  const { columns, identity, dropped, generated } = one;
  const name = nameOf(one);
  const taken = new Set(columns.map((column) => column.name));
  const extra = (wanted: string) => (taken.has(wanted) ? [] : [wanted]);
  const key = {
    key: ', PRIMARY KEY ("__id")',
    pair: ', PRIMARY KEY ("__b", "__id")',
    index: '',
    full: '',
  }[identity];
  return [
    `CREATE TABLE ${name} (${[
      ...(dropped ? ['"__gone" text'] : []),
      '"__id" int NOT NULL',
      ...columns.map((column: Column) => `${ident(column.name)} ${column.kind}`),
      `"__b" text NOT NULL DEFAULT 'it''s'`,
      // Out of line, so that an update leaves it unsent.
      `"__big" text DEFAULT repeat('it''s', 1000)`,
      ...(generated
        ? extra('__g').map((g) => `${ident(g)} int GENERATED ALWAYS AS ("__id" * 2) STORED`)
        : []),
    ].join(', ')}${key})`,
    ...['__big', ...columns.filter(({ kind }) => kind === 'text').map((column) => column.name)].map(
      (column) => `ALTER TABLE ${name} ALTER ${ident(column)} SET STORAGE EXTERNAL`,
    ),
    ...(dropped ? [`ALTER TABLE ${name} DROP COLUMN "__gone"`] : []),
    ...(identity === 'full' ? [`ALTER TABLE ${name} REPLICA IDENTITY FULL`] : []),
    ...(identity === 'index'
      ? [
          `CREATE UNIQUE INDEX ${ident(`ix ${one.name}`)} ON ${name} ("__id")`,
          `ALTER TABLE ${name} REPLICA IDENTITY USING INDEX ${ident(`ix ${one.name}`)}`,
        ]
      : []),
  ].join(';\n');
}

function statement({ tables, values }: Scenario, one: Scenario['transactions'][number][number]): string {
  const at = one.table % tables.length;
  const chosen = tables[at]!;
  const name = nameOf(chosen);
  const { columns } = chosen;
  const row = values[(one.id + one.column) % values.length]?.[at] ?? [];
  const written = (index: number) => {
    const text = row[index] ?? null;
    return text === null ? 'NULL' : literal(text);
  };
  const where = `WHERE "__id" = ${one.id}`;
  const insert = `INSERT INTO ${name} ("__id"${columns.map((column) => `, ${ident(column.name)}`).join('')}) VALUES (${one.id}${columns.map((_, index) => `, ${written(index)}`).join('')})${chosen.identity === 'full' ? '' : ' ON CONFLICT DO NOTHING'}`;
  switch (one.kind) {
    case 'update': {
      const index = one.column % Math.max(columns.length, 1);
      const column = columns[index];
      return column
        ? `UPDATE ${name} SET ${ident(column.name)} = ${written(index)} ${where}`
        : `UPDATE ${name} SET "__b" = "__b" ${where}`;
    }
    case 'move':
      return `UPDATE ${name} SET "__id" = "__id" + 100 ${where} AND NOT EXISTS (SELECT FROM ${name} WHERE "__id" = ${one.id + 100})`;
    case 'delete':
      return `DELETE FROM ${name} ${where}`;
    case 'truncate':
      return `TRUNCATE ${tables
        .slice(0, 1 + (one.column % tables.length))
        .map(nameOf)
        .join(', ')} ${one.id % 2 ? 'RESTART IDENTITY' : ''}`;
    case 'undone':
      return `SAVEPOINT s; ${insert}; ROLLBACK TO s`;
    case 'insert':
      return insert;
  }
}

interface Read {
  readonly xid: number;
  readonly commit: readonly [Lsn, bigint];
  readonly changes: readonly unknown[];
}

/** All transactions with changes up to `until`. */
async function readAll(
  db: TestDatabase,
  slot: string,
  decoder: Decoder,
  { from, until, tables }: { from: Lsn; until: Lsn; tables: readonly TableInfo[] },
): Promise<Read[]> {
  const signal = AbortSignal.timeout(30_000);
  const generated = generatedColumns(tables);
  await using reader = await openChangeReader({
    control: db.session,
    openReplication: () => db.open({ replication: true }),
    names: { slot, publication: 'p' },
    decoder,
    tables,
    positions: [],
    from,
    safe: from,
    recorded: null,
    onTimeline: async () => {},
    signal,
  });
  const transactions: Read[] = [];
  let changes: unknown[] = [];
  let xid = 0;
  for (;;) {
    reader.askForPosition();
    const item = reader.takeQueued();
    if (item === null) {
      await reader.ready(signal);
      continue;
    }
    switch (item.kind) {
      case 'begin':
        changes = [];
        xid = item.xid;
        break;
      case 'insert':
      case 'update':
      case 'delete':
      case 'truncate':
        changes.push(plain(item, generated));
        break;
      case 'commit':
        if (changes.length > 0) transactions.push({ xid, commit: [item.endLsn, item.commitTime], changes });
        break;
      case 'keepalive':
        if (item.walEnd >= until) return transactions;
        break;
      case 'filtered':
      case 'unjudged':
        throw new Error(`${item.kind}: ${item.relation.name}`);
      case 'relation':
      case 'other':
        break;
    }
  }
}

/** Without stored generated columns, which pgoutput does not send before 18. */
function plain(item: Change, generated: ReadonlySet<string>): unknown {
  const keeps = ({ columns, name }: Relation) =>
    columns.map((column) => !generated.has(`${name}.${column.name}`));
  const relation = (one: Relation) => ({ ...one, columns: one.columns.filter((_, at) => keeps(one)[at]) });
  if (item.kind === 'truncate')
    return { ...item, relations: item.relations.map(relation).toSorted((a, b) => a.oid - b.oid) };
  const cells = (row: readonly Cell[]) =>
    row
      .filter((_, at) => keeps(item.relation)[at])
      .map((one) => (one === UNCHANGED ? 'unchanged' : { text: one }));
  return {
    kind: item.kind,
    relation: relation(item.relation),
    ...('new' in item ? { new: cells(item.new) } : {}),
    ...('old' in item ? { old: item.old && cells(item.old) } : {}),
  };
}

function generatedColumns(tables: readonly TableInfo[]): Set<string> {
  return new Set(
    tables.flatMap(({ name, columns }) =>
      columns.filter(({ generated }) => generated !== '').map((column) => `${name}.${column.name}`),
    ),
  );
}

async function makeSlot(db: TestDatabase, slot: string, plugin: string): Promise<Lsn> {
  const { lsn } = await db.session.one('SELECT lsn::text FROM pg_create_logical_replication_slot($1, $2)', [
    slot,
    plugin,
  ]);
  return parseLsn(lsn ?? '');
}

describe.each([12, 15, 18] as const)('on %i', (major) => {
  it('test_decoding and pgoutput give the same changes', async () => {
    const seen = { changes: 0, unsent: 0 };
    await fc.assert(
      fc.asyncProperty(scenario, async (made) => {
        await using db = await freshDatabase(major);
        await db.session.query(TYPES);
        for (const one of made.tables) await db.session.query(create(one));
        await db.session.query(
          `CREATE PUBLICATION p FOR TABLE ${made.tables.map(nameOf).join(', ')}${major >= 18 ? ' WITH (publish_generated_columns = stored)' : ''}`,
        );
        const [textual, binary] = [`text_${db.name}`, `binary_${db.name}`];
        const fromText = await makeSlot(db, textual, 'test_decoding');
        const fromBinary = await makeSlot(db, binary, 'pgoutput');
        for (const changes of made.transactions)
          await db.session.query(`BEGIN; ${changes.map((one) => statement(made, one)).join('; ')}; COMMIT`);
        const tables = await readTables(db.session);
        const bounds = { until: await endOfWal(db.session), tables };
        const text = await readAll(db, textual, 'test_decoding', { from: fromText, ...bounds });
        const output = await readAll(db, binary, 'pgoutput', { from: fromBinary, ...bounds });
        expect(text).toEqual(output);
        seen.changes += output.reduce((sum, { changes }) => sum + changes.length, 0);
        seen.unsent += JSON.stringify(output.map(({ changes }) => changes)).split('"unchanged"').length - 1;
      }),
      { numRuns: 25, interruptAfterTimeLimit: 240_000 },
    );
    expect(seen.changes).toBeGreaterThan(100);
    expect(seen.unsent).toBeGreaterThan(5);
  }, 300_000);
});

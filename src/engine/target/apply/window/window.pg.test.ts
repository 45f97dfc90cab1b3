/**
 * The window against a model: random valid histories of a few rows go through windows into real tables, folded and in order, and both must
 * hold what the history says (data-plane P8, P11, I6).
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../../../test/database.ts';
import { packedChange, spoil } from '../../../../../test/packed.ts';
import { relationOf, shapeOf } from '../../../../../test/target-table.ts';
import type { Major } from '../../../../../test/global-setup.ts';
import { byteText, UNCHANGED, type Cell, type RowChange, type Tuple } from '../../../change/change.ts';
import type { Relation } from '../../../change/relation.ts';
import { readTables } from '../../../pg/catalog/tables/tables.ts';
import { readUniqueKeys } from '../../../pg/catalog/constraints/unique-keys.ts';
import { Pipeline, type Statement } from '../../../pg/wire/pipeline.ts';
import type { Planned } from '../sql/apply-sql.ts';
import { silenceTriggers } from '../../silence-triggers.ts';
import { joinTable, type TargetTable } from '../sql/target-table.ts';
import { Window } from './window.ts';

type Value = string | null;

/** One table shape. Every pool holds values in the text form the server gives back. */
interface Shape {
  readonly title: string;
  readonly types?: string;
  /** Columns and constraints, in the order of `pools`. */
  readonly ddl: string;
  readonly pools: readonly (readonly Value[])[];
  /** Indexes of the columns that name a row; none: rows are found by all their values. */
  readonly key: readonly number[];
  /** May come as unchanged TOAST values. */
  readonly toast: readonly number[];
  /** Set once, at the insert. */
  readonly fixed?: readonly number[];
  readonly full?: boolean;
  readonly folds: boolean;
}

const BIG = ['', 'small', 'x'.repeat(3000), 'grüß "dich", \\ {世界}', null];
const KEYED: readonly Shape[] = [
  {
    title: 'an integer key',
    ddl: 'id int PRIMARY KEY, a text, n numeric, big text',
    pools: [['1', '2', '3', '-4'], ['a', '', 'NULL', null, "it's"], ['1.0', '1.00', 'NaN', null], BIG],
    key: [0],
    toast: [3],
    folds: true,
  },
  {
    title: 'a key of two columns and user types',
    types: `CREATE TYPE s.mood AS ENUM ('sad', 'so "so"', '');
      CREATE DOMAIN s.short AS varchar(9) CHECK (value <> 'bad')`,
    ddl: 'm s.mood, d s.short, k2 int, tags text[], j jsonb, k1 text, b bytea, bits bit(3), PRIMARY KEY (k1, k2)',
    pools: [
      ['sad', 'so "so"', '', null],
      ['good', '', null],
      ['1', '2'],
      ['{}', '{a,b}', '{NULL,"NULL","x\\\\\\"y",""}', '{{1,2},{3,4}}', '[2:3]={x,y}', null],
      ['{"a": [1, null]}', '"\\\\"', 'null', null],
      ['a', 'A', 'ü,{}"\\'],
      ['\\x', '\\x00ff5c22', null],
      ['101', '000', null],
    ],
    key: [5, 2],
    toast: [3, 4, 6],
    folds: true,
  },
  {
    title: 'types whose arrays are not parted by commas, and types of a length',
    types: 'CREATE DOMAIN s.frame AS box',
    ddl: 'id int PRIMARY KEY, b box, g point, d s.frame, c char(3), o "char", n numeric(5,2)',
    pools: [
      ['1', '2', '3', '4'],
      ['(1,1),(0,0)', '(2,2),(1,1)', null],
      ['(1,1)', null],
      ['(1,1),(0,0)', null],
      ['abc', 'ab ', null],
      ['x', null],
      ['1.50', '-999.99', null],
    ],
    key: [0],
    toast: [],
    folds: true,
  },
  {
    title: 'a GENERATED ALWAYS column beside the key',
    ddl: 'id int PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, v text, list int[], twice int GENERATED ALWAYS AS (id * 2) STORED',
    pools: [
      ['1', '2', '3'],
      ['100', '9007199254740993'],
      ['a', 'b', null],
      ['{1,2}', '{}', null],
    ],
    key: [0],
    toast: [2],
    fixed: [1],
    folds: false,
  },
  {
    title: 'a GENERATED ALWAYS key',
    ddl: 'id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text',
    pools: [
      ['1', '2', '3'],
      ['a', 'b', null],
    ],
    key: [0],
    toast: [],
    folds: true,
  },
  {
    title: 'identity FULL and a key',
    ddl: 'v numeric, id uuid PRIMARY KEY, f float8, big text',
    pools: [
      ['1.0', '1.00', null],
      ['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002'],
      ['0', '-0', 'NaN', null],
      BIG,
    ],
    key: [1],
    toast: [3],
    full: true,
    folds: true,
  },
  {
    title: 'a key whose equal values differ in text',
    ddl: 'k numeric PRIMARY KEY, v text',
    pools: [
      ['1.0', '2.00', '3', 'NaN'],
      ['a', 'b', null],
    ],
    key: [0],
    toast: [1],
    folds: false,
  },
];
const KEYLESS: Shape = {
  title: 'identity FULL without a key',
  types: `CREATE TYPE s.mood AS ENUM ('a', 'b'); CREATE TYPE s.pair AS (x int, y text)`,
  ddl: 'n numeric, f float8, r real, j json, c bpchar, t text, m s.mood, p s.pair, i int, g point, x xml, ts timestamptz',
  pools: [
    ['1.0', '1.00', null],
    ['0', '-0', 'NaN', null],
    ['0', '-0', '1e-20'],
    ['{"a":1}', '{"a": 1}', null],
    ['a', 'a ', null],
    ['a', 'a ', '', 'NULL', null],
    ['a', null],
    ['(1,)', '(1,"")', '(,)', null],
    ['1', null],
    ['(0,0)', '(0.1,0)', null],
    ['<a/>', '<a></a>', null],
    ['infinity', '2020-01-01 00:00:00+00', null],
  ],
  key: [],
  toast: [5],
  full: true,
  folds: false,
};

const TABLES = ['t0', 't1'] as const;
type TableNo = 0 | 1;

/** What the generator wants to happen; the history turns it into what can happen at that point. */
interface Wish {
  readonly does:
    | 'write'
    | 'write-same'
    | 'delete'
    | 'move'
    | 'truncate'
    | 'truncate-both'
    | 'describe'
    | 'cut';
  readonly table: TableNo;
  readonly picks: readonly number[];
  readonly unchanged: number;
}
const wish: fc.Arbitrary<Wish> = fc.record({
  does: fc.oneof(
    { weight: 12, arbitrary: fc.constant<'write'>('write') },
    { weight: 3, arbitrary: fc.constant<'write-same'>('write-same') },
    { weight: 5, arbitrary: fc.constant<'delete'>('delete') },
    { weight: 4, arbitrary: fc.constant<'move'>('move') },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Wish['does']>('truncate', 'truncate-both', 'describe', 'cut'),
    },
  ),
  table: fc.constantFrom<TableNo>(0, 0, 0, 1),
  picks: fc.array(fc.nat(59), { minLength: 13, maxLength: 13 }),
  unchanged: fc.nat(255),
});

type Step =
  | { readonly kind: 'change'; readonly table: TableNo; readonly change: RowChange }
  | { readonly kind: 'truncate'; readonly tables: readonly TableNo[] }
  /** The source describes the table again, as it does after any DDL or ANALYZE. */
  | { readonly kind: 'describe'; readonly table: TableNo }
  /** The window is applied here. */
  | { readonly kind: 'cut' };

const cellOf = (value: Value): Cell => (value === null ? null : byteText(value));

/** Plays wishes into a valid history, as pgoutput would tell it, and into what the tables hold at its end. */
class History {
  readonly steps: Step[] = [];
  readonly rows: Value[][][] = [[], []];
  private readonly shape: Shape;
  private readonly relation: Relation;

  constructor(shape: Shape, relation: Relation, wishes: readonly Wish[]) {
    this.shape = shape;
    this.relation = relation;
    for (const one of wishes) this.play(one);
  }

  private play(one: Wish): void {
    const { table } = one;
    if (one.does === 'cut' || one.does === 'describe') this.steps.push({ kind: one.does, table });
    else if (one.does === 'truncate' || one.does === 'truncate-both') {
      const tables: readonly TableNo[] = one.does === 'truncate' ? [table] : [0, 1];
      for (const at of tables) this.rows[at] = [];
      this.steps.push({ kind: 'truncate', tables });
    } else this.playRow(one);
  }

  private playRow(one: Wish): void {
    const rows = this.rows[one.table] ?? [];
    const drawn = this.shape.pools.map((pool, at) => pool[(one.picks[at] ?? 0) % pool.length] ?? null);
    const at = this.find(rows, drawn, one.picks.at(-1) ?? 0);
    const before = rows[at];
    if (!before) {
      rows.push(drawn);
      this.push(one.table, { kind: 'insert', relation: this.relation, new: drawn.map(cellOf) });
    } else if (one.does === 'delete') {
      rows.splice(at, 1);
      this.push(one.table, { kind: 'delete', relation: this.relation, old: this.identity(before) });
    } else {
      const after = this.after(one, rows, before, drawn);
      rows[at] = after;
      this.push(one.table, this.update(before, after, one.unchanged));
    }
  }

  /** The row that has the drawn key; without a key any row, or none so that one is inserted. */
  private find(rows: readonly Value[][], drawn: readonly Value[], pick: number): number {
    if (this.shape.key.length > 0)
      return rows.findIndex((row) => this.shape.key.every((at) => row[at] === drawn[at]));
    return pick % 3 === 0 || rows.length === 0 ? -1 : pick % rows.length;
  }

  private after(
    one: Wish,
    rows: readonly Value[][],
    before: readonly Value[],
    drawn: readonly Value[],
  ): Value[] {
    const { key, fixed, pools } = this.shape;
    const after = before.map((value, at) => {
      if (key.includes(at) || fixed?.includes(at) || one.does === 'write-same') return value;
      return drawn[at] ?? null;
    });
    if (one.does !== 'move') return after;
    for (const at of key) after[at] = pools[at]?.[one.unchanged % (pools[at]?.length ?? 1)] ?? null;
    const taken = rows.some((row) => row !== before && key.every((at) => row[at] === after[at]));
    return taken ? after.map((value, at) => (key.includes(at) ? (before[at] ?? null) : value)) : after;
  }

  private update(before: readonly Value[], after: readonly Value[], unchanged: number): RowChange {
    const { toast, key, full } = this.shape;
    const row = after.map((value, at): Cell => {
      const hidden =
        value !== null && value === before[at] && toast.includes(at) && (unchanged >> at) % 2 === 1;
      return hidden ? UNCHANGED : cellOf(value);
    });
    const moved = key.some((at) => before[at] !== after[at]);
    const old = full || moved ? this.identity(before) : null;
    return { kind: 'update', relation: this.relation, new: row, old };
  }

  private identity(row: readonly Value[]): Tuple {
    return row.map((value, at) => (this.shape.full || this.shape.key.includes(at) ? cellOf(value) : null));
  }

  private push(table: TableNo, change: RowChange): void {
    this.steps.push({ kind: 'change', table, change });
  }
}

/** Both tables of one database, with what it takes to fill them through windows. */
class Target implements AsyncDisposable {
  private readonly db: TestDatabase;
  private readonly pipeline: Pipeline;
  readonly relation: Relation;
  readonly join: (table: TableNo) => TargetTable;

  private constructor(
    db: TestDatabase,
    pipeline: Pipeline,
    parts: { relation: Relation; join: (table: TableNo) => TargetTable },
  ) {
    this.db = db;
    this.pipeline = pipeline;
    this.relation = parts.relation;
    this.join = parts.join;
  }

  static async create(major: Major, shape: Shape): Promise<Target> {
    const db = await freshDatabase(major);
    await db.session.query(`CREATE SCHEMA s; ${shape.types ?? ''}`);
    for (const table of TABLES) {
      await db.session.query(`CREATE TABLE s.${table} (${shape.ddl})`);
      if (shape.full) await db.session.query(`ALTER TABLE s.${table} REPLICA IDENTITY FULL`);
    }
    const infos = (await readTables(db.session)).filter(({ schema }) => schema === 's');
    const keys = await readUniqueKeys(db.session);
    const shapes = infos.map((info) => shapeOf(info, keys));
    const relations = infos.map((info) => relationOf(info));
    const session = await db.open({ role: 'apply' });
    await silenceTriggers(session);
    const join = (table: TableNo) => joinTable(relations[table]!, shapes[table]!);
    return new Target(db, new Pipeline(session), { relation: relations[0]!, join });
  }

  /** Applies the history to empty tables; checks the row counts and the account on the way, and returns what was planned per window. */
  async apply(steps: readonly Step[], ordered: boolean, smallUpTo?: number): Promise<Planned[][]> {
    const windows: Planned[][] = [];
    const joined = TABLES.map((_, at) => this.join(at as TableNo));
    await this.run([statement('TRUNCATE s.t0, s.t1')]);
    const window = new Window(ordered, undefined, undefined, smallUpTo);
    let added = 0;
    const drain = async () => {
      expect(window.size).toBe(added);
      const { planned, counts } = window.drain();
      expect(window.size).toBe(0);
      const accounted = [...counts.values()].reduce((sum, { applied, folded }) => sum + applied + folded, 0);
      expect(accounted).toBe(added);
      expect(Math.min(0, ...[...counts.values()].flatMap(({ applied, folded }) => [applied, folded]))).toBe(
        0,
      );
      added = 0;
      windows.push([...planned]);
      const rows = await this.run([statement('BEGIN'), ...planned, statement('COMMIT')]);
      const wrong = planned.filter(({ expect: wanted }, at) => wanted !== null && wanted !== rows[at + 1]);
      expect(wrong.map(({ sql }) => sql)).toEqual([]);
    };
    for (const step of steps) {
      if (step.kind === 'cut') await drain();
      else if (step.kind === 'describe') joined[step.table] = this.join(step.table);
      else if (step.kind === 'truncate') {
        const tables = step.tables.map((at) => joined[at]!);
        window.truncate(tables, { kind: 'truncate', relations: [], restartIdentity: false });
        added += tables.length;
      } else {
        // Every other one as it comes from the decoder, whose bytes are gone before the window is drained.
        const change = added % 2 === 0 ? packedChange(step.change) : step.change;
        window.add(joined[step.table]!, change);
        spoil(change);
        added++;
      }
    }
    await drain();
    return windows;
  }

  async run(statements: readonly Statement[]): Promise<number[]> {
    try {
      return await this.pipeline.run(statements);
    } catch (thrown) {
      await this.pipeline.run([statement('ROLLBACK')]);
      throw thrown;
    }
  }

  /** All rows of a table as text, sorted. */
  async content(table: TableNo): Promise<string[]> {
    const names = this.relation.columns.map(({ name }) => `format('%s', "${name}")`);
    // format() shows NULL as an empty string: say it apart.
    const cells = this.relation.columns.map(
      ({ name }, at) => `"${name}" IS NOT DISTINCT FROM NULL, ${names[at]}`,
    );
    const rows = await this.db.session.query(
      `SELECT json_build_array(${cells.join(', ')})::text AS row FROM s.${TABLES[table]}`,
    );
    return rows.map(({ row }) => normal(JSON.parse(row ?? '[]') as unknown[])).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db[Symbol.asyncDispose]();
  }
}

function statement(sql: string): Statement {
  return { sql, values: [] };
}

function normal(pairs: readonly unknown[]): string {
  const cells = Array.from({ length: pairs.length / 2 }, (_, at) =>
    pairs[at * 2] ? null : pairs[at * 2 + 1],
  );
  return JSON.stringify(cells);
}

const wanted = (rows: readonly Value[][]): string[] => rows.map((row) => JSON.stringify(row)).sort();

/** Runs the property; reports a failing history in words. */
async function checkHistories(major: Major, shape: Shape, numRuns: number): Promise<void> {
  await using target = await Target.create(major, shape);
  expect(target.join(0).folds).toBe(shape.folds);
  let folded = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(wish, { minLength: 1, maxLength: 40 }), async (wishes) => {
      const { steps, rows } = new History(shape, target.relation, wishes);
      for (const [ordered, smallUpTo] of [[false], [false, 0], [true]] as const) {
        const windows = await target.apply(steps, ordered, smallUpTo);
        for (const at of [0, 1] as const) expect(await target.content(at)).toEqual(wanted(rows[at] ?? []));
        const statements = windows.flat().length;
        const changes = steps.filter(({ kind }) => kind === 'change' || kind === 'truncate').length;
        if (!ordered) folded += changes - statements;
      }
    }),
    { numRuns, endOnFailure: false },
  );
  // The histories are worth something: where rows may be folded, they were.
  if (shape.folds) expect(folded).toBeGreaterThan(numRuns);
}

describe.each([
  [18, 50],
  [12, 10],
  [15, 10],
] as const)('windows on PostgreSQL %i', (major, numRuns) => {
  it.each(KEYED)('leave what the history says, folded and in order: $title', async (shape) => {
    await checkHistories(major, shape, numRuns);
  });

  it('leave what the history says where only all values together name a row, and touch one of equal rows', async () => {
    await checkHistories(major, KEYLESS, numRuns);
  });
});

const [INTEGER] = KEYED;
const row = (id: string, a: string | null = 'a'): Tuple => [byteText(id), cellOf(a), null, byteText('big')];

describe('a window', () => {
  it('keeps key changes in their order: two rows change places through a third key', async () => {
    await using target = await Target.create(18, INTEGER!);
    const { relation } = target;
    const move = (from: string, to: string, a: string): Step => ({
      kind: 'change',
      table: 0,
      change: { kind: 'update', relation, new: row(to, a), old: [byteText(from), null, null, null] },
    });
    const steps: Step[] = [
      { kind: 'change', table: 0, change: { kind: 'insert', relation, new: row('1', 'first') } },
      { kind: 'change', table: 0, change: { kind: 'insert', relation, new: row('2', 'second') } },
      move('1', '9', 'first'),
      move('2', '1', 'second'),
      move('9', '2', 'first'),
    ];
    const [planned] = await target.apply(steps, false);
    expect(planned?.map(({ operation, expect: rows }) => [operation, rows])).toEqual([
      ['insert', 2],
      ['update', 1],
      ['update', 1],
      ['update', 1],
    ]);
    expect(await target.content(0)).toEqual(
      wanted([
        ['1', 'second', null, 'big'],
        ['2', 'first', null, 'big'],
      ]),
    );
  });

  it('keeps the order of changes across a new description of their table', async () => {
    await using target = await Target.create(18, INTEGER!);
    const { relation } = target;
    const update = (to: string, a: string, from: string | null = null): Step => ({
      kind: 'change',
      table: 0,
      change: {
        kind: 'update',
        relation,
        new: row(to, a),
        old: from === null ? null : [byteText(from), null, null, null],
      },
    });
    const steps: Step[] = [
      { kind: 'change', table: 0, change: { kind: 'insert', relation, new: row('1', 'old') } },
      { kind: 'cut' },
      update('1', 'before'),
      { kind: 'describe', table: 0 },
      update('2', 'moved', '1'),
      update('1', 'after', '2'),
    ];
    await target.apply(steps, false);
    expect(await target.content(0)).toEqual(wanted([['1', 'after', null, 'big']]));
  });

  it.each([
    ['identity FULL without a key', 'n bigint GENERATED ALWAYS AS IDENTITY, v text', true],
    ['a key', 'n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text', false],
  ])('moves a GENERATED ALWAYS value, which no UPDATE may set: %s', async (_, ddl, full) => {
    await using target = await Target.create(18, { ...INTEGER!, ddl, full });
    const { relation } = target;
    const old = [byteText('1'), full ? byteText('a') : null];
    const steps: Step[] = [
      { kind: 'change', table: 0, change: { kind: 'insert', relation, new: [byteText('1'), byteText('a')] } },
      { kind: 'cut' },
      {
        kind: 'change',
        table: 0,
        change: { kind: 'update', relation, new: [byteText('7'), byteText('a')], old },
      },
    ];
    for (const ordered of [false, true]) {
      await target.apply(steps, ordered);
      expect(await target.content(0)).toEqual(wanted([['7', 'a']]));
    }
  });

  it('moves a GENERATED ALWAYS key also where the row is not known whole', async () => {
    await using target = await Target.create(18, {
      ...INTEGER!,
      ddl: 'n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, big text',
    });
    const { relation } = target;
    const steps: Step[] = [
      [byteText('1'), byteText('a'), byteText('big')] as const,
      [byteText('7'), byteText('b'), UNCHANGED] as const,
    ].map((cells, at) => ({
      kind: 'change',
      table: 0,
      change:
        at === 0
          ? { kind: 'insert', relation, new: cells }
          : { kind: 'update', relation, new: cells, old: [byteText('1'), null, null] },
    }));
    for (const ordered of [false, true]) {
      await target.apply(steps, ordered);
      expect(await target.content(0)).toEqual(wanted([['7', 'b', 'big']]));
    }
  });

  it('moves a GENERATED ALWAYS value beside the key', async () => {
    await using target = await Target.create(18, {
      ...INTEGER!,
      ddl: 'id int PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, v text',
      full: true,
    });
    const { relation } = target;
    const before: Tuple = [byteText('1'), byteText('1'), byteText('a')];
    const after: Tuple = [byteText('1'), byteText('2'), byteText('a')];
    const steps: Step[] = [
      { kind: 'change', table: 0, change: { kind: 'insert', relation, new: before } },
      { kind: 'cut' },
      { kind: 'change', table: 0, change: { kind: 'update', relation, new: after, old: before } },
    ];
    for (const ordered of [false, true]) {
      await target.apply(steps, ordered);
      expect(await target.content(0)).toEqual(wanted([['1', '2', 'a']]));
    }
  });

  it('in order makes one statement of each change, in the order of the changes', async () => {
    await using target = await Target.create(18, INTEGER!);
    const { relation } = target;
    const changes: RowChange[] = [
      { kind: 'insert', relation, new: row('1') },
      { kind: 'update', relation, new: row('1', 'b'), old: null },
      { kind: 'update', relation, new: row('2', 'b'), old: [byteText('1'), null, null, null] },
      { kind: 'delete', relation, old: [byteText('2'), null, null, null] },
      { kind: 'insert', relation, new: row('2') },
    ];
    const steps = changes.map((change): Step => ({ kind: 'change', table: 0, change }));
    const [planned] = await target.apply([...steps, { kind: 'truncate', tables: [0] }], true);
    expect(planned?.map(({ operation, expect: rows }) => `${operation} ${rows}`)).toEqual([
      'insert 1',
      'update 1',
      'update 1',
      'delete 1',
      'insert 1',
      'truncate null',
    ]);
  });

  it('counts a row that came and went as folded, and writes nothing for it', async () => {
    await using target = await Target.create(18, INTEGER!);
    const { relation } = target;
    const table = target.join(0);
    const window = new Window(false);
    window.add(table, { kind: 'insert', relation, new: row('1') });
    window.add(table, { kind: 'update', relation, new: row('1', 'b'), old: null });
    window.add(table, { kind: 'delete', relation, old: [byteText('1'), null, null, null] });
    expect(window.bytes).toBe(2 * (1 + 1 + 3) + 1);
    expect(window.drain()).toEqual({ planned: [], counts: new Map([[table, { applied: 0, folded: 3 }]]) });
    expect([window.size, window.bytes]).toEqual([0, 0]);
  });

  it('puts few new rows as a set where it may go in one round trip, and copies them where it may not', async () => {
    await using target = await Target.create(18, INTEGER!);
    const { relation } = target;
    const [few, many] = [target.join(0), target.join(1)];
    const forms = (updates: number) => {
      const window = new Window(false);
      for (const id of ['1', '2']) window.add(few, { kind: 'insert', relation, new: row(id) });
      for (let id = 0; id < updates; id++)
        window.add(many, { kind: 'update', relation, new: row(String(id)), old: null });
      return window
        .drain()
        .planned.map(({ sql, copyData }) => `${sql.slice(0, 6)} ${copyData !== undefined}`);
    };
    expect(forms(998)).toEqual(['INSERT false', 'UPDATE false']);
    expect(forms(999)).toEqual(['COPY " true', 'UPDATE false']);
  });

  it('changes a row that is alone without arrays', async () => {
    await using target = await Target.create(18, INTEGER!);
    const { relation } = target;
    const tables = [target.join(0), target.join(1)];
    const window = new Window(false);
    window.add(tables[0]!, { kind: 'update', relation, new: row('1'), old: null });
    window.add(tables[1]!, { kind: 'delete', relation, old: row('1') });
    const alone = window.drain().planned;
    expect(alone.map(({ sql }) => sql.includes('unnest'))).toEqual([false, false]);
    expect(alone.map(({ values }) => values.length)).toEqual([4, 1]);
    expect(alone.map(({ expect: rows }) => rows)).toEqual([1, 1]);
    for (const id of ['1', '2']) {
      window.add(tables[0]!, { kind: 'update', relation, new: row(id), old: null });
      window.add(tables[1]!, { kind: 'delete', relation, old: row(id) });
    }
    const together = window.drain().planned;
    expect(together.map(({ sql }) => sql.includes('unnest'))).toEqual([true, true]);
    expect(together.map(({ expect: rows }) => rows)).toEqual([2, 2]);
  });

  it('folds nothing where triggers fire', async () => {
    await using target = await Target.create(18, INTEGER!);
    const { relation } = target;
    const table: TargetTable = { ...target.join(0), folds: false, gathers: false };
    const window = new Window(false);
    window.add(table, { kind: 'insert', relation, new: row('1') });
    window.add(table, { kind: 'insert', relation, new: row('2') });
    window.add(table, { kind: 'update', relation, new: row('1', 'b'), old: null });
    expect(window.drain().planned.map(({ operation, expect: rows }) => `${operation} ${rows}`)).toEqual([
      'insert 1',
      'insert 1',
      'update 1',
    ]);
  });

  it('where nothing folds lets new rows go together, but not past another change of their table', async () => {
    const ddl = 'id int, a text, n numeric, big text';
    await using target = await Target.create(18, { ...INTEGER!, ddl, full: true });
    const { relation } = target;
    const changes: RowChange[] = [
      { kind: 'insert', relation, new: row('1') },
      { kind: 'insert', relation, new: row('2') },
      { kind: 'delete', relation, old: row('1') },
      { kind: 'insert', relation, new: row('3') },
      { kind: 'insert', relation, new: row('1') },
      { kind: 'insert', relation, new: row('1') },
    ];
    const [planned] = await target.apply(
      changes.map((change) => ({ kind: 'change', table: 0, change })),
      false,
    );
    expect(planned?.map(({ operation, expect: rows }) => `${operation} ${rows}`)).toEqual([
      'insert 2',
      'delete 1',
      'insert 3',
    ]);
    const left = ['1', '1', '2', '3'].map((id) => [id, 'a', null, 'big']);
    expect(await target.content(0)).toEqual(wanted(left));
  });
});

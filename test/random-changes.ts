/**
 * Random transactions over a small set of tables that together have every kind of key, identity and constraint: two writers take turns,
 * statement by statement, and whatever a statement violates is rolled back to its savepoint. The same seed gives the same statements.
 */
import type { Session } from '../src/engine/pg/session.ts';
import type { TestDatabase } from './database.ts';

export type Random = (below: number) => number;

export function seeded(seed: number): Random {
  let state = (seed * 2_654_435_761) % 2_147_483_647 || 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return Math.floor((state / 2_147_483_647) * below);
  };
}

/** `value` is a random value as an SQL expression. */
interface Column {
  readonly name: string;
  readonly isKey?: boolean;
  readonly value: (random: Random) => string;
}

interface Table {
  readonly name: string;
  readonly ddl: string;
  readonly columns: readonly Column[];
  /** An UPDATE of all rows that only a constraint checked later allows, or that moves many keys. */
  readonly sweeps?: readonly string[];
}

const pick =
  (...values: readonly string[]) =>
  (random: Random) =>
    values[random(values.length)] ?? 'NULL';
const upTo = (n: number) => (random: Random) => String(random(n));
const maybe = (value: Column['value']) => (random: Random) => (random(5) === 0 ? 'NULL' : value(random));
/** Some are stored out of line, and then left out of an UPDATE that does not change them. */
const big: Column['value'] = (random) =>
  random(3) === 0 ? `'s${random(9)}'` : `repeat(md5('${random(9)}'), ${70 + random(40)})`;

const id: Column = { name: 'id', isKey: true, value: upTo(12) };
const text: Column = { name: 'v', value: maybe(pick("'a'", "''", `'q"\\,{}'`, "'ü'")) };
const large: Column = { name: 'big', value: maybe(big) };
const unique: Column = { name: 'u', value: maybe(upTo(14)) };
const EXTERNAL = 'big text';

const TABLES: readonly Table[] = [
  {
    name: 'plain',
    ddl: `CREATE TABLE plain (id int PRIMARY KEY, u int UNIQUE, v text, ${EXTERNAL}); ALTER TABLE plain ALTER big SET STORAGE EXTERNAL`,
    columns: [id, unique, text, large],
    sweeps: [
      'SET id = id + 100 WHERE id < 6',
      'SET id = id - 100 WHERE id >= 100',
      'SET id = -id',
      'SET u = NULL WHERE id % 2 = 0',
      'SET u = 11 - id WHERE u IS NULL',
    ],
  },
  {
    name: 'later',
    ddl: 'CREATE TABLE later (id int PRIMARY KEY, u int UNIQUE DEFERRABLE INITIALLY DEFERRED, v text)',
    columns: [id, unique, text],
    sweeps: ['SET u = 13 - u', 'SET u = u + 1'],
  },
  {
    name: 'key_later',
    ddl: 'CREATE TABLE key_later (id int PRIMARY KEY DEFERRABLE INITIALLY IMMEDIATE, v text)',
    columns: [id, text],
    sweeps: ['SET id = 11 - id', 'SET id = (id + 1) % 12'],
  },
  {
    name: 'whole',
    ddl: `CREATE TABLE whole (id int PRIMARY KEY, u int UNIQUE, v text, ${EXTERNAL}); ALTER TABLE whole ALTER big SET STORAGE EXTERNAL; ALTER TABLE whole REPLICA IDENTITY FULL`,
    columns: [id, unique, text, large],
    sweeps: [
      'SET id = id + 50 WHERE id < 4',
      'SET id = id - 50 WHERE id >= 50',
      'SET u = NULL WHERE id % 2 = 1',
      'SET u = id WHERE u IS NULL',
    ],
  },
  {
    name: 'by_index',
    ddl: `CREATE TABLE by_index (id int PRIMARY KEY, code text NOT NULL, v text, ${EXTERNAL}); CREATE UNIQUE INDEX by_code ON by_index (code); ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_code; ALTER TABLE by_index ALTER big SET STORAGE EXTERNAL`,
    columns: [id, { name: 'code', isKey: true, value: (random) => `'c${random(12)}'` }, text, large],
    sweeps: ["SET code = code || 'x' WHERE length(code) < 5", "SET code = 'c' || id"],
  },
  {
    name: 'keyless',
    ddl: `CREATE TABLE keyless (a int, v text, ${EXTERNAL}); ALTER TABLE keyless ALTER big SET STORAGE EXTERNAL`,
    columns: [
      { name: 'a', value: maybe(upTo(3)) },
      text,
      { name: 'big', value: maybe(pick("repeat('x', 3000)", "'s'")) },
    ],
    sweeps: ['SET a = a % 2', 'SET v = NULL'],
  },
  {
    name: 'two',
    ddl: 'CREATE TABLE two (a int, b varchar(5), n numeric, f float8, PRIMARY KEY (a, b)); CREATE UNIQUE INDEX ON two (n, b)',
    columns: [
      { name: 'a', isKey: true, value: upTo(4) },
      { name: 'b', isKey: true, value: pick("''", "'x'", "'ü,'", `'"'`) },
      { name: 'n', value: maybe(pick('1.0', '1.00', '2', "'NaN'", '3', '4')) },
      { name: 'f', value: maybe(pick('0', "'-0'", "'NaN'", '0.1::float8 + 0.2')) },
    ],
    sweeps: ['SET a = a + 4 WHERE a < 4', 'SET a = a - 4 WHERE a >= 4'],
  },
  {
    name: 'parent',
    ddl: 'CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED, v text)',
    columns: [id, text],
    sweeps: ['SET id = id + 12 WHERE id < 6', 'SET id = id - 12 WHERE id >= 12'],
  },
  {
    name: 'child',
    ddl: '',
    columns: [
      id,
      {
        name: 'p',
        value: maybe((random) => `(SELECT id FROM parent ORDER BY md5(id || '${random(99)}') LIMIT 1)`),
      },
      text,
    ],
  },
  {
    name: 'part',
    ddl: `CREATE TABLE part (id int, k int, v text, ${EXTERNAL}, PRIMARY KEY (id, k)) PARTITION BY LIST (k); CREATE TABLE part_a PARTITION OF part FOR VALUES IN (0, 1);
          CREATE TABLE part_b (${EXTERNAL}, v text, k int NOT NULL, id int NOT NULL); ALTER TABLE part ATTACH PARTITION part_b FOR VALUES IN (2); CREATE TABLE part_rest PARTITION OF part DEFAULT`,
    columns: [id, { name: 'k', isKey: true, value: upTo(4) }, text, large],
    sweeps: ['SET k = (k + 1) % 4 WHERE id < 3'],
  },
  {
    name: 'counted',
    ddl: 'CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, v text)',
    columns: [{ name: 'a', value: maybe(upTo(9)) }, text],
    sweeps: ['SET id = DEFAULT WHERE id % 3 = 0'],
  },
  {
    name: 'beside',
    ddl: 'CREATE TABLE beside (id int PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, v text)',
    columns: [id, text],
    sweeps: ['SET n = DEFAULT, v = v WHERE id < 3'],
  },
  {
    name: 'lookalike',
    ddl: 'CREATE TABLE lookalike (k numeric, c bpchar, v text, PRIMARY KEY (k, c)); CREATE TABLE padded (k bpchar PRIMARY KEY, v text)',
    columns: [
      { name: 'k', isKey: true, value: pick('1', '1.0', '1.00', "'NaN'", '2') },
      { name: 'c', isKey: true, value: pick("'a'", "'a '", "'b'") },
      text,
    ],
    sweeps: ["SET k = k + 0.0, c = c || ' '"],
  },
  {
    name: 'padded',
    ddl: '',
    columns: [{ name: 'k', isKey: true, value: pick("'a'", "'a '", "'a  '", "'b'", "'b '") }, text],
  },
  {
    name: 'spans',
    ddl: 'CREATE TABLE spans (id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&))',
    columns: [id, { name: 'r', value: maybe((random) => `int4range(${random(20)}, ${20 + random(9)})`) }],
    sweeps: ["SET r = 'empty' WHERE id < 6"],
  },
  {
    name: 'kinds',
    ddl: `CREATE TYPE mood AS ENUM ('sad', 'so "so"', 'a,b'); CREATE DOMAIN tags AS text[]; CREATE TYPE pair AS (a int, b text);
          CREATE TABLE kinds (m mood PRIMARY KEY, t tags, p pair, ps pair[], r int4range)`,
    columns: [
      { name: 'm', isKey: true, value: pick("'sad'", `'so "so"'`, "'a,b'") },
      { name: 't', value: maybe(pick("'{}'", `'{{a,"b c"},{NULL,"\\""}}'`, "'[2:3]={x,y}'")) },
      { name: 'p', value: maybe(pick("ROW(1, 'q\"')", "ROW(NULL, '')", 'ROW(NULL, NULL)')) },
      { name: 'ps', value: maybe(pick("ARRAY[(1, 'a')::public.pair, NULL]", "'{}'")) },
      { name: 'r', value: maybe(pick("'empty'", "'[1,5)'", "'(,3)'")) },
    ],
  },
];

export async function createRandomTables({ session }: TestDatabase): Promise<void> {
  for (const { ddl } of TABLES) if (ddl) await session.query(ddl);
}

function where(table: Table, random: Random): string {
  const column = table.columns[random(table.columns.length)];
  switch (random(8)) {
    case 0:
    case 1:
      return `(tableoid, ctid) IN (SELECT tableoid, ctid FROM ${table.name} ORDER BY md5(ctid::text || '${random(99)}') LIMIT ${1 + random(3)})`;
    case 2:
      return random(4) === 0
        ? 'true'
        : `${table.columns[0]?.name ?? ''} < ${table.columns[0]?.value(random) ?? ''}`;
    default:
      return column && !['r', 'p', 'ps'].includes(column.name)
        ? `${column.name} = ${column.value(random)}`
        : 'true';
  }
}

function insertInto(table: Table, random: Random): string {
  const rows = Array.from(
    { length: 1 + random(8) },
    () => `(${table.columns.map(({ value }) => value(random)).join(', ')})`,
  );
  const names = table.columns.map(({ name }) => name).join(', ');
  const keys = table.columns.filter(({ isKey }) => isKey).map(({ name }) => name);
  const others = table.columns.filter(({ isKey }) => !isKey).map(({ name }) => `${name} = EXCLUDED.${name}`);
  const canUpsert = keys.length > 0 && !['key_later', 'by_index'].includes(table.name) && random(3) === 0;
  const onConflict = canUpsert
    ? ` ON CONFLICT (${keys.join(', ')}) DO UPDATE SET ${others.join(', ')}`
    : random(6) > 0 && table.name !== 'key_later' && table.name !== 'later'
      ? ' ON CONFLICT DO NOTHING'
      : '';
  // Of two equal keys in one INSERT the second would conflict with the first.
  const some = canUpsert ? rows.slice(0, 1) : rows;
  return `INSERT INTO ${table.name} (${names}) VALUES ${some.join(', ')}${onConflict}`;
}

function update(table: Table, random: Random): string {
  const ordinary = table.columns.filter(({ isKey }) => !isKey || random(6) === 0);
  const columns = ordinary.filter(() => random(2) === 0);
  const sets = (columns.length > 0 ? columns : ordinary.slice(0, 1)).map(
    ({ name, value }) => `${name} = ${random(8) === 0 ? name : value(random)}`,
  );
  if (sets.length === 0) return insertInto(table, random);
  return `UPDATE ${table.name} SET ${sets.join(', ')} WHERE ${where(table, random)}`;
}

const SPECIAL = [
  'TRUNCATE parent, child',
  'TRUNCATE parent CASCADE',
  'TRUNCATE plain, keyless, part_a',
  'TRUNCATE part',
  'TRUNCATE counted RESTART IDENTITY',
  'ANALYZE plain, whole, two',
  'ALTER TABLE whole SET (fillfactor = 80)',
  'ALTER TABLE plain REPLICA IDENTITY FULL',
  'ALTER TABLE plain REPLICA IDENTITY DEFAULT',
  'SET CONSTRAINTS ALL IMMEDIATE',
];

function statement(random: Random, tables: readonly Table[]): string {
  const table = tables[random(tables.length)];
  if (!table) throw new Error('no table');
  const roll = random(100);
  if (roll < 34) return insertInto(table, random);
  if (roll < 66) return update(table, random);
  if (roll < 82) return `DELETE FROM ${table.name} WHERE ${where(table, random)}`;
  if (roll < 95 && table.sweeps) return `UPDATE ${table.name} ${table.sweeps[random(table.sweeps.length)]}`;
  if (roll < 97) return `TRUNCATE ${table.name}${table.name === 'parent' ? ' CASCADE' : ''}`;
  return SPECIAL[random(SPECIAL.length)] ?? '';
}

/** One writer's transaction, a step at a time, so that two can take turns. */
class Writer {
  private readonly session: Session;
  private readonly random: Random;
  private readonly tables: readonly Table[];
  private left = 0;
  private named = 0;
  /** Open ones, the outermost first. */
  private savepoints: string[] = [];

  constructor(session: Session, random: Random, tables: readonly Table[]) {
    this.session = session;
    this.random = random;
    this.tables = tables;
  }

  /** True when a transaction ended with it. */
  async step(): Promise<boolean> {
    const { session, random } = this;
    if (this.left === 0) {
      await session.query('BEGIN');
      this.left = 1 + random(7);
      this.savepoints = [];
      return false;
    }
    this.left--;
    if (this.left > 0 || random(4) > 0) await this.work();
    if (this.left > 0) return false;
    // A deferred constraint may refuse the commit: then it was a rollback.
    await session.query(random(9) === 0 ? 'ROLLBACK' : 'COMMIT').catch(() => {});
    return true;
  }

  /** Savepoints stay open behind the statement now and then, and are rolled back together later. */
  private async work(): Promise<void> {
    const { session, random } = this;
    const back = this.savepoints[random(this.savepoints.length)];
    if (back && random(6) === 0) {
      await session.query(`ROLLBACK TO ${back}`);
      this.savepoints.length = this.savepoints.indexOf(back) + 1;
      return;
    }
    const name = `s${++this.named}`;
    await session.query(`SAVEPOINT ${name}`);
    try {
      await session.query(statement(random, this.tables));
      if (random(3) === 0) await session.query(`RELEASE ${name}`);
      else this.savepoints.push(name);
    } catch {
      await session.query(`ROLLBACK TO ${name}`);
    }
  }

  async finish(): Promise<void> {
    while (this.left > 0) await this.step();
  }
}

/** Lets two writers commit or roll back about this many transactions, and leaves none open. */
export async function writeRandomly(db: TestDatabase, random: Random, transactions: number): Promise<void> {
  await using first = await db.open();
  await using second = await db.open();
  for (const session of [first, second])
    await session.query("SET search_path = public; SET lock_timeout = '20ms'; SET deadlock_timeout = '1s'");
  // Few tables at a time, so that the same rows change again and again.
  const some = Array.from({ length: 1 + random(4) }, () => TABLES[random(TABLES.length)]);
  const tables = random(3) === 0 ? TABLES : some.flatMap((table) => table ?? []);
  const writers = [new Writer(first, random, tables), new Writer(second, random, tables)] as const;
  for (let ended = 0; ended < transactions;) if (await writers[random(2) === 0 ? 0 : 1].step()) ended++;
  for (const writer of writers) await writer.finish();
}

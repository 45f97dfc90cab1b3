/** The data that is copied: tables, how they are filled, and their keys. The same rows every time; nothing is random. */
import type { Size } from './options.ts';

export interface DataTable {
  /** In schema public. */
  readonly name: string;
  /** Without keys and indexes: this is also what the data phase copies into. */
  readonly create: string;
  readonly fill: string;
  readonly keys: readonly string[];
}

export interface DataSet {
  /** Also the name of its database. */
  readonly name: string;
  readonly about: string;
  readonly types: readonly string[];
  readonly tables: readonly DataTable[];
}

export interface DataSets {
  /** pgbench's tables and one wide table that holds more than 60 % of all bytes; all of it may travel in binary. */
  readonly mixed: DataSet;
  /** Two wide tables with an enum column: they travel as text. */
  readonly text: DataSet;
  readonly small: DataSet;
  readonly one: DataSet;
  /** The rows of `one` in four tables. */
  readonly four: DataSet;
}

export function dataSets(size: Size): DataSets {
  const quarter = size.splitRows / 4;
  return {
    mixed: {
      name: 'mixed',
      about: `pgbench tables at scale ${size.pgbenchScale}, one wide table of more than 60 % of all bytes`,
      types: [],
      tables: [...pgbenchTables(size.pgbenchScale), wideTable('wide', 0, size.wideRows)],
    },
    text: {
      name: 'text',
      about: 'two wide tables with an enum column (travel as text)',
      types: ["CREATE TYPE public.state AS ENUM ('new', 'paid', 'sent', 'returned')"],
      tables: [textTable('text_1', 0, size.textRows), textTable('text_2', size.textRows, size.textRows)],
    },
    small: {
      name: 'small',
      about: `${size.smallTables} tables of 50 rows, each with a primary key and an index`,
      types: [],
      tables: Array.from({ length: size.smallTables }, (_, at) => smallTable(at + 1)),
    },
    one: {
      name: 'one',
      about: 'one wide table',
      types: [],
      tables: [wideTable('wide', 0, size.splitRows)],
    },
    four: {
      name: 'four',
      about: 'the rows of "one" in four tables',
      types: [],
      tables: [1, 2, 3, 4].map((at) => wideTable(`wide_${at}`, (at - 1) * quarter, quarter)),
    },
  };
}

/** One wide table of the given number of rows, for the run that is about memory alone. */
export function wideOnly(rows: number): DataSet {
  return {
    name: 'wide',
    about: 'one wide table of about 5 GB',
    types: [],
    tables: [wideTable('wide', 0, rows)],
  };
}

const WIDE_COLUMNS = `id bigint NOT NULL, tenant integer NOT NULL, code varchar(40) NOT NULL, title text, note text, amount numeric(14,2),
  ratio double precision, active boolean, uid uuid, born date, created timestamptz, payload jsonb, tags text[], raw bytea, rank smallint`;

/** The values of a wide row, from its number `i`. */
export const WIDE_VALUES = `i, (i * 7919 % 5000)::integer, 'C-' || pg_catalog.md5(i::text), 'Title no. ' || i || ' with "quotes" and ünïcode',
  CASE WHEN i % 11 = 0 THEN NULL ELSE pg_catalog.repeat(pg_catalog.md5((i + 1)::text), 14) || E'\\n\\t\\\\end' END,
  (i * 104729 % 100000000)::numeric / 100, pg_catalog.sqrt(i::double precision), i % 3 = 0, pg_catalog.md5((i + 2)::text)::uuid,
  date '2000-01-01' + (i % 9000)::integer, timestamptz '2020-01-01 00:00:00+00' + i * interval '1 second',
  pg_catalog.jsonb_build_object('n', i, 'name', 'item ' || i, 'on', i % 2 = 0),
  ARRAY['a' || i % 10, 'b,c', NULL], pg_catalog.decode(pg_catalog.repeat(pg_catalog.md5((i + 3)::text), 4), 'hex'), (i % 30000)::smallint`;

function wideKeys(name: string): string[] {
  return [
    `ALTER TABLE public.${name} ADD PRIMARY KEY (id)`,
    `CREATE INDEX ON public.${name} (tenant, created)`,
    `CREATE INDEX ON public.${name} (code)`,
  ];
}

export function wideTable(name: string, after: number, rows: number): DataTable {
  return {
    name,
    create: `CREATE TABLE public.${name} (${WIDE_COLUMNS})`,
    fill: `INSERT INTO public.${name} SELECT ${WIDE_VALUES} FROM pg_catalog.generate_series(${after + 1}::bigint, ${after + rows}) AS i`,
    keys: wideKeys(name),
  };
}

function textTable(name: string, after: number, rows: number): DataTable {
  return {
    name,
    create: `CREATE TABLE public.${name} (${WIDE_COLUMNS}, state public.state)`,
    fill: `INSERT INTO public.${name} SELECT ${WIDE_VALUES}, (ARRAY['new', 'paid', 'sent', 'returned'])[(i % 4)::integer + 1]::public.state
      FROM pg_catalog.generate_series(${after + 1}::bigint, ${after + rows}) AS i`,
    keys: wideKeys(name),
  };
}

/** The tables and rows of `pgbench -i`. */
export function pgbenchTables(scale: number): DataTable[] {
  const keyed = (name: string, columns: string, values: string, rows: number): DataTable => ({
    name: `pgbench_${name}`,
    create: `CREATE TABLE public.pgbench_${name} (${columns}) WITH (fillfactor = 100)`,
    fill: `INSERT INTO public.pgbench_${name} SELECT ${values} FROM pg_catalog.generate_series(1, ${rows}) AS i`,
    keys: [`ALTER TABLE public.pgbench_${name} ADD PRIMARY KEY (${columns.slice(0, 3)})`],
  });
  return [
    keyed('branches', 'bid integer NOT NULL, bbalance integer, filler char(88)', 'i, 0, NULL', scale),
    keyed(
      'tellers',
      'tid integer NOT NULL, bid integer, tbalance integer, filler char(84)',
      'i, (i - 1) / 10 + 1, 0, NULL',
      scale * 10,
    ),
    keyed(
      'accounts',
      'aid integer NOT NULL, bid integer, abalance integer, filler char(84)',
      "i, (i - 1) / 100000 + 1, 0, ''",
      scale * 100_000,
    ),
  ];
}

function smallTable(at: number): DataTable {
  const name = `small_${String(at).padStart(4, '0')}`;
  return {
    name,
    create: `CREATE TABLE public.${name} (id integer NOT NULL, name text NOT NULL, created timestamptz, price numeric(10,2))`,
    fill: `INSERT INTO public.${name} SELECT i, 'row ' || i || ' of ${at}', timestamptz '2024-01-01 00:00:00+00' + i * interval '1 hour',
      (i * ${at})::numeric / 100 FROM pg_catalog.generate_series(1, 50) AS i`,
    keys: [`ALTER TABLE public.${name} ADD PRIMARY KEY (id)`, `CREATE INDEX ON public.${name} (name)`],
  };
}

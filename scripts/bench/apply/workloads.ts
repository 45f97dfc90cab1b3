/** The backlogs that are drained: tables as they stand when the slot is made, and the transactions that come after it. Nothing is random but in its seed. */
import { pgbenchTables, WIDE_VALUES, wideTable, type DataSet, type DataTable } from '../data-sets.ts';
import { MIXED_LOAD, mixedTables } from './mixed-tables.ts';
import type { ApplySize } from './options.ts';

export interface Workload {
  readonly data: DataSet;
  /** Statements for the source before the load, outside the migration. */
  readonly prepare: string;
  /** One statement a session; the sessions run side by side. */
  readonly load: readonly string[];
}

/** The load is over where this row is: it is inserted last. */
export const END_TABLE = 'bench_end';

const endTable: DataTable = {
  name: END_TABLE,
  create: `CREATE TABLE public.${END_TABLE} (id integer PRIMARY KEY)`,
  fill: '',
  keys: [],
};

const SESSIONS = 4;

function perSession(total: number, call: (session: number, share: number) => string): string[] {
  return Array.from({ length: SESSIONS }, (_, at) => call(at + 1, total / SESSIONS));
}

export function workloads(size: ApplySize): Record<'a' | 'b' | 'c' | 'd', Workload> {
  return {
    a: {
      data: {
        name: 'tpcb',
        about: `${size.transactions} pgbench transactions, scale ${size.scale}`,
        types: [],
        tables: [...tpcbTables(size.scale), endTable],
      },
      prepare: TPCB_LOAD,
      load: perSession(
        size.transactions,
        (session, share) => `CALL public.bench_load(${session}, ${share}, ${size.scale})`,
      ),
    },
    b: {
      data: {
        name: 'huge',
        about: `one transaction that updates ${size.hugeScale * 100_000} rows`,
        types: [],
        tables: [...pgbenchTables(size.hugeScale), endTable],
      },
      prepare: '',
      load: ['UPDATE public.pgbench_accounts SET abalance = abalance + 1'],
    },
    c: {
      data: {
        name: 'inserts',
        about: `${size.wideRows} transactions of one wide row each`,
        types: [],
        tables: [wideTable('wide', 0, WIDE_BEFORE), endTable],
      },
      prepare: WIDE_LOAD,
      load: perSession(size.wideRows, (session, share) => `CALL public.bench_load(${session}, ${share})`),
    },
    d: {
      data: {
        name: 'mixed',
        about: `${size.mixedTransactions} transactions of 4 inserts, 4 updates, 2 deletes over 50 tables with foreign keys`,
        types: [],
        tables: [...mixedTables(), endTable],
      },
      prepare: MIXED_LOAD,
      load: perSession(
        size.mixedTransactions,
        (session, share) => `CALL public.bench_load(${session}, ${SESSIONS}, ${share})`,
      ),
    },
  };
}

/** The tables of `pgbench -i`. */
export function tpcbTables(scale: number): DataTable[] {
  const history = 'tid integer, bid integer, aid integer, delta integer, mtime timestamp, filler char(22)';
  return [
    ...pgbenchTables(scale),
    {
      name: 'pgbench_history',
      create: `CREATE TABLE public.pgbench_history (${history})`,
      fill: '',
      keys: [],
    },
  ];
}

/** What pgbench's own transaction writes. */
const TPCB_LOAD = `CREATE PROCEDURE public.bench_load(session int, transactions bigint, scale int) LANGUAGE plpgsql AS $$
  DECLARE a int; t int; b int; d int;
  BEGIN
    PERFORM pg_catalog.setseed(session / 100.0);
    FOR i IN 1..transactions LOOP
      a := 1 + pg_catalog.floor(pg_catalog.random() * 100000 * scale);
      t := 1 + pg_catalog.floor(pg_catalog.random() * 10 * scale);
      b := 1 + pg_catalog.floor(pg_catalog.random() * scale);
      d := pg_catalog.floor(pg_catalog.random() * 10001) - 5000;
      UPDATE public.pgbench_accounts SET abalance = abalance + d WHERE aid = a;
      UPDATE public.pgbench_tellers SET tbalance = tbalance + d WHERE tid = t;
      UPDATE public.pgbench_branches SET bbalance = bbalance + d WHERE bid = b;
      INSERT INTO public.pgbench_history (tid, bid, aid, delta, mtime) VALUES (t, b, a, d, pg_catalog.now());
      COMMIT;
    END LOOP;
  END $$`;

const WIDE_BEFORE = 10_000;

const WIDE_LOAD = `CREATE PROCEDURE public.bench_load(session int, rows bigint) LANGUAGE plpgsql AS $$
  BEGIN
    FOR n IN 1..rows LOOP
      INSERT INTO public.wide SELECT ${WIDE_VALUES} FROM (VALUES ((${WIDE_BEFORE} + n * ${SESSIONS} + session)::bigint)) AS r (i);
      COMMIT;
    END LOOP;
  END $$`;

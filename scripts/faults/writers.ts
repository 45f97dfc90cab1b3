/** Writers on STREAM_TABLES: each runs one transaction after the other. */
import { AppError } from '../../src/base/errors/app-error.ts';
import { sleep } from '../../src/base/runtime/sleep.ts';
import { SQLSTATE, sqlstateOf } from '../../src/engine/pg/pg-error.ts';
import type { Session } from '../../src/engine/pg/session.ts';
import { streamTransaction, type Shares } from './stream-tables.ts';

export interface WriterOptions {
  readonly writers: number;
  /** Between two transactions of one writer. */
  readonly pauseMs: number;
  readonly shares: Shares;
  /** One more keeps a transaction open all the while. Nobody on that server can create a slot meanwhile. */
  readonly holds: boolean;
}

export interface Writers {
  /** Resolves once so many transactions have committed, or a writer has failed. */
  reach(transactions: number): Promise<void>;
  /** Ends once all have finished their transaction; says how many were committed. Throws what a writer failed with. */
  stop(): Promise<number>;
}

const SERIALIZATION_FAILURE = '40001';
/** Ends of a transaction that any application must expect: a deadlock, a key that is taken, a row that moved to another partition. */
const EXPECTED: readonly (string | undefined)[] = [
  SQLSTATE.deadlock,
  SQLSTATE.uniqueViolation,
  SERIALIZATION_FAILURE,
];

/** `open` gives each writer its sessions, again when the server has crashed. Writers are numbered from `first`, each number once. */
export function startWriters(open: () => Promise<Session>, first: number, options: WriterOptions): Writers {
  const state = { stopped: false, committed: 0 };
  const write = async (session: Session, writer: number, n: number) => {
    const sql = streamTransaction(writer, n, options.shares);
    try {
      await session.query(sql);
      if (sql.endsWith('COMMIT')) state.committed++;
    } catch (thrown) {
      if (!EXPECTED.includes(sqlstateOf(thrown))) throw thrown;
      await session.query('ROLLBACK');
    }
    await sleep(options.pauseMs);
  };
  /** Its changes come long after those of transactions that began later, and it keeps the slot's restart position where it is. */
  const hold = async (session: Session, writer: number, n: number) => {
    await session.query('BEGIN');
    while (!state.stopped) {
      await session.query(`INSERT INTO written VALUES (${writer}, ${n}); INSERT INTO loose VALUES (1, 'v1')`);
      await sleep(50);
    }
    await session.query('COMMIT');
    state.committed++;
  };
  const run = async (writer: number, work: typeof write) => {
    for (let n = 0; !state.stopped;) {
      try {
        await using session = await open();
        await session.query('SET search_path = public');
        while (!state.stopped) await work(session, writer, n++);
      } catch (thrown) {
        if (!(thrown instanceof AppError) || thrown.entry.retry !== 'later') throw thrown;
        await sleep(100);
      }
    }
  };
  const running = Promise.all([
    ...(options.holds ? [run(first, hold)] : []),
    ...Array.from({ length: options.writers }, (_, at) => run(first + 1 + at, write)),
  ]);
  // Seen again, and then thrown, at the end.
  running.catch(() => (state.stopped = true));
  return {
    reach: async (transactions) => {
      while (state.committed < transactions && !state.stopped) await sleep(20);
    },
    stop: async () => {
      state.stopped = true;
      await running;
      return state.committed;
    },
  };
}

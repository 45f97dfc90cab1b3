/** Our metadata database: statements and transactions, rows parsed at the edge, its failures as STORE_UNAVAILABLE. */
import { z } from 'zod';
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { currentSpan, noSpan, throughout, type Span } from '../../base/tracing/span.ts';
import { answersWithin } from '../../engine/pg/answers-within.ts';
import { connect } from '../../engine/pg/connect.ts';
import type { ConnInfo } from '../../engine/pg/conninfo/conninfo.ts';
import { parseConninfo } from '../../engine/pg/conninfo/parse.ts';
import { identify, type DatabaseIdentity } from '../../engine/pg/identity.ts';
import { isDisturbance, PgError, SQLSTATE } from '../../engine/pg/pg-error.ts';
import type { Session } from '../../engine/pg/session.ts';
import { SessionPool } from './session-pool.ts';

/** What statements run on: the store, or a transaction of it. */
export interface Db {
  /** The rows of one statement. Values travel as text; `row` turns text into what the program works with. Without values it may be several in one text. */
  query<T>(row: z.ZodType<T>, sql: string, values?: readonly (string | null)[]): Promise<T[]>;
}

const SIZE = 10;
/** Nothing here takes long: what does is stuck, and must not hold a request for ever. */
const LIMITS =
  "SET statement_timeout = '30s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'";

const LISTEN_LOOK_MS = 10_000;
const LISTEN_ANSWER_MS = 5_000;

/** The server may be gone without a word, and cannot keep its own limits then. */
const SILENCE_MS = 60_000;

export class Store implements Db, AsyncDisposable {
  private readonly pool: SessionPool;
  /** Where it is, with its password; null where that may change. */
  readonly address: string | null;

  private constructor(pool: SessionPool, address: string | null) {
    this.pool = pool;
    this.address = address;
  }

  /**
   * Opens the store at a connection string, or where a function says for every new session; nothing ambient counts. Connects when it is
   * first asked. Throws STORE_ADDRESS_INVALID.
   */
  static at(address: string | (() => Promise<string>)): Store {
    const where =
      typeof address === 'string' ? fixed(readAddress(address)) : async () => readAddress(await address());
    const open = async () => {
      const session = await connect(await where(), { side: 'target', applicationName: 'opendts:store' });
      await session.query(LIMITS);
      return session;
    };
    return new Store(new SessionPool({ open, size: SIZE }), typeof address === 'string' ? address : null);
  }

  async query<T>(row: z.ZodType<T>, sql: string, values?: readonly (string | null)[]): Promise<T[]> {
    return this.use((session) => on(session).query(row, sql, values));
  }

  /** Commits when `work` returns, rolls back when it throws. It may take so long, or as long as it takes. */
  async transaction<T>(work: (db: Db) => Promise<T>, limitMs: number | null = SILENCE_MS): Promise<T> {
    return this.use((session) => session.transaction(() => work(on(session))), limitMs);
  }

  /** A statement of a library that brings its own; values as JavaScript has them. */
  async parsed(
    sql: string,
    values?: readonly unknown[],
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return this.use(async (session) => {
      try {
        return await session.parsed(sql, values);
      } catch (thrown) {
        // Of several statements in one text the first may have begun a transaction, in which nobody is to be lent the session.
        if (!session.isEnded) await session.query('ROLLBACK').catch(() => session.destroy());
        throw thrown;
      }
    });
  }

  /**
   * Tells what is notified on a channel until the signal aborts, or the store has gone: then it returns. `heard` is told once when it
   * listens, of what may have come before. Throws STORE_UNAVAILABLE.
   */
  async listen(channel: string, signal: AbortSignal, heard: (payload: string | null) => void): Promise<void> {
    await this.use(async (session) => {
      await session.listen(channel, heard);
      heard(null);
      const over = AbortSignal.any([signal, session.whenLost()]);
      // A server that is gone without a word does not say so.
      while (!over.aborted) {
        await sleep(LISTEN_LOOK_MS, over);
        if (!signal.aborted) await answersWithin(session, LISTEN_ANSWER_MS, () => session.query('SELECT'));
      }
      // Whoever is lent it next does not want to hear.
      await session.end();
    }, null);
  }

  /** What its sessions do just now. */
  sessions(): ReturnType<SessionPool['counts']> {
    return this.pool.counts();
  }

  /** Which database this is, so that it can be refused as the end of a migration. */
  async identity(): Promise<DatabaseIdentity> {
    return this.use(identify);
  }

  /** `server_version_num` of its server. */
  async version(): Promise<number> {
    return this.use((session) => Promise.resolve(session.version));
  }

  private async use<T>(
    work: (session: Session) => Promise<T>,
    limitMs: number | null = SILENCE_MS,
  ): Promise<T> {
    try {
      return await this.pool.use((session) =>
        limitMs === null ? work(session) : answersWithin(session, limitMs, () => work(session)),
      );
    } catch (thrown) {
      throw explain(thrown);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
  }
}

function on(session: Session): Db {
  return {
    query: async (row, sql, values) => {
      const found = await throughout(spanOf(sql), () => session.query(sql, values));
      return found.map((one) => row.parse(one));
    },
  };
}

/** Of a statement: which kind it is, and never its text. */
function spanOf(sql: string): Span {
  const span = currentSpan();
  if (!span.withStatements) return noSpan;
  const operation = /^\s*(\w+)/.exec(sql)?.[1]?.toUpperCase() ?? 'SQL';
  return span.child(operation, {
    kind: 'client',
    fields: { 'db.system.name': 'postgresql', 'db.operation.name': operation },
  });
}

/** What stays as it is. */
function fixed<T>(value: T): () => Promise<T> {
  return () => Promise.resolve(value);
}

function readAddress(uri: string): ConnInfo {
  try {
    return parseConninfo(uri, 'target');
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    throw new AppError('STORE_ADDRESS_INVALID', { problem: thrown.facts.problem ?? '' });
  }
}

const CONNECTING = [
  'CONNECT_FAILED',
  'CONNECT_REFUSED_LOGIN',
  'DATABASE_MISSING',
  'CONNECTION_LOST',
  'EMBEDDED_FAILED',
];

function explain(thrown: unknown): unknown {
  const isOurs = thrown instanceof AppError && CONNECTING.includes(thrown.code);
  if (!isOurs && !isDisturbance(thrown)) return thrown;
  return new AppError('STORE_UNAVAILABLE', { problem: problemOf(thrown) }, thrown);
}

function problemOf(thrown: unknown): string {
  if (thrown instanceof AppError) return String(thrown.facts.problem ?? thrown.message);
  return thrown instanceof PgError ? thrown.shown : String(thrown);
}

/** Whether the statement was refused because such a row is there already. */
export function isDuplicate(thrown: unknown): boolean {
  return thrown instanceof PgError && thrown.sqlstate === SQLSTATE.uniqueViolation;
}

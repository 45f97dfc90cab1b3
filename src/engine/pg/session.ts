/**
 * One connection to one server: ordinary statements through the driver, raw traffic through a Wire taken from it.
 * Values are PostgreSQL text in both directions; the driver parses nothing.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import type { Socket } from 'node:net';
import { AppError } from '../../base/errors/app-error.ts';
import type { Side } from './conninfo/conninfo.ts';
import { eachRow, type EachOptions } from './each-row.ts';
import { ident } from './ident.ts';
import { isConnectionLoss, PgError, sqlstateOf } from './pg-error.ts';
import { Wire } from './wire/wire.ts';

export type Row = Readonly<Record<string, string | null>>;

/** The parts of the driver's client that its types leave out. */
interface DriverClient {
  readonly connection: { readonly stream: Socket };
  readonly processID: number | null;
}

function fromDriver(thrown: unknown): unknown {
  if (!(thrown instanceof pg.DatabaseError)) return thrown;
  return new PgError({
    sqlstate: thrown.code ?? 'XX000',
    severity: thrown.severity ?? 'ERROR',
    message: thrown.message,
    detail: thrown.detail,
    hint: thrown.hint,
    position: thrown.position,
    where: thrown.where,
    schema: thrown.schema,
    table: thrown.table,
    constraint: thrown.constraint,
  });
}

const GOODBYE_MS = 2_000;

/** A transaction of a session that may be shared. */
interface OpenTransaction {
  readonly ended: Promise<void>;
}

/** The transactions that the running code is in the middle of. */
const inside = new AsyncLocalStorage<readonly OpenTransaction[]>();

function isInside(open: OpenTransaction): boolean {
  return inside.getStore()?.includes(open) ?? false;
}

export class Session implements AsyncDisposable {
  readonly side: Side;
  /** `server_version_num`, e.g. 150018. */
  readonly version: number;
  readonly pid: number;
  readonly user: string;
  private readonly client: pg.Client;
  private readonly driver: DriverClient;
  private wire: Wire | null = null;
  private answersDue = 0;
  private open: OpenTransaction | null = null;
  private turn: Promise<void> = Promise.resolve();
  private lost: unknown = null;
  private ended = false;

  private constructor(client: pg.Client, side: Side, version: number) {
    this.client = client;
    this.driver = client as unknown as DriverClient;
    this.side = side;
    this.version = version;
    this.pid = this.driver.processID ?? 0;
    this.user = client.user ?? '';
    client.on('error', (error) => (this.lost ??= error));
  }

  /** Connects with a driver configuration made by connect.ts. Throws what the driver throws, server errors as PgError. */
  static async open(config: pg.ClientConfig, side: Side): Promise<Session> {
    const client = new pg.Client({ ...config, types: { getTypeParser: () => (value: unknown) => value } });
    // The driver would fall back to PGOPTIONS: what the environment may say has been decided by whoever made the configuration.
    const parameters = (client as unknown as { connectionParameters: { options: string | undefined } })
      .connectionParameters;
    parameters.options = config.options;
    let version = '';
    (client as unknown as { connection: NodeJS.EventEmitter }).connection.on(
      'parameterStatus',
      (message: { parameterName: string; parameterValue: string }) => {
        if (message.parameterName === 'server_version') version = message.parameterValue;
      },
    );
    // From the start: an error that arrives together with the last answer of the login would else reach nobody and end the process.
    let early: unknown = null;
    client.on('error', (error) => (early ??= error));
    try {
      await client.connect();
    } catch (thrown) {
      await client.end().catch(() => {});
      throw fromDriver(thrown);
    }
    const session = new Session(client, side, versionNumber(version));
    session.lost = early;
    return session;
  }

  /** Runs one statement; with values through the extended protocol. Rows come as text. Server errors are PgError; a lost connection is CONNECTION_LOST. */
  async query<R extends Row = Row>(sql: string, values?: readonly (string | null)[]): Promise<R[]> {
    const result = await this.inTurn(() =>
      values === undefined ? this.client.query(sql) : this.client.query(sql, [...values]),
    );
    // Several statements in one string give several results: the last one counts.
    const last: unknown = Array.isArray(result) ? result.at(-1) : result;
    return (last as pg.QueryResult<R>).rows;
  }

  /** Runs one statement and gives each row to `take` as it comes: of a large answer no second copy is held. */
  async each<R extends Row>(sql: string, take: (row: R) => void, options: EachOptions = {}): Promise<void> {
    await this.inTurn(() => eachRow<R>(this.client, sql, { ...options, take }));
  }

  /** Each row as what `make` makes of it. */
  async map<R extends Row, T>(sql: string, make: (row: R) => T, options: EachOptions = {}): Promise<T[]> {
    const made: T[] = [];
    await this.each<R>(sql, (row) => made.push(make(row)), options);
    return made;
  }

  /** Runs one statement and says how many rows it touched. */
  async count(sql: string): Promise<number> {
    return (await this.inTurn(() => this.client.query(sql))).rowCount ?? 0;
  }

  /** A session may be shared: who asks while a statement runs waits until it has its answer, or in another's transaction until its end. */
  private async inTurn<T>(ask: () => Promise<T>): Promise<T> {
    while (this.open !== null && !isInside(this.open)) await this.open.ended;
    const before = this.turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.turn = promise;
    await before;
    this.answersDue++;
    try {
      return await ask();
    } catch (thrown) {
      throw this.explain(fromDriver(thrown));
    } finally {
      this.answersDue--;
      resolve();
    }
  }

  /** A statement of a library, or several in one text: rows with values as JavaScript has them, of all of them together. */
  async parsed(sql: string, values: readonly unknown[] = []): Promise<Readonly<Record<string, unknown>>[]> {
    const answer: unknown = await this.inTurn(() =>
      this.client.query({ text: sql, values: [...values], types: pg.types }),
    );
    const results = (Array.isArray(answer) ? answer : [answer]) as pg.QueryResult<Record<string, unknown>>[];
    return results.flatMap(({ rows }) => rows);
  }

  /** Tells what is notified on a channel from now on, until the session ends. */
  async listen(channel: string, heard: (payload: string) => void): Promise<void> {
    this.client.on('notification', (message) => {
      if (message.channel === channel) heard(message.payload ?? '');
    });
    await this.query(`LISTEN ${ident(channel)}`);
  }

  /** The single row of a statement that must return one. */
  async one<R extends Row = Row>(sql: string, values?: readonly (string | null)[]): Promise<R> {
    const rows = await this.query<R>(sql, values);
    if (rows.length !== 1 || !rows[0])
      throw new Error(`expected one row, got ${rows.length}: ${sql.slice(0, 200)}`);
    return rows[0];
  }

  /** Runs `work` in a transaction: commits when it returns, rolls back when it throws. Statements of others wait until it has ended. */
  async transaction<T>(work: () => Promise<T>, begin = 'BEGIN'): Promise<T> {
    while (this.open !== null) await this.open.ended;
    const { promise, resolve } = Promise.withResolvers<void>();
    const open: OpenTransaction = { ended: promise };
    this.open = open;
    try {
      return await inside.run([...(inside.getStore() ?? []), open], () => this.inTransaction(work, begin));
    } finally {
      this.open = null;
      resolve();
    }
  }

  private async inTransaction<T>(work: () => Promise<T>, begin: string): Promise<T> {
    await this.query(begin);
    try {
      const result = await work();
      await this.query('COMMIT');
      return result;
    } catch (thrown) {
      // A lost connection has rolled back by itself; the first error is the one to report.
      await this.query('ROLLBACK').catch(() => {});
      throw thrown;
    }
  }

  /** Takes the socket for raw traffic. No statement may run until it is released. */
  takeWire(): Wire {
    const socket = this.driver.connection.stream;
    const listeners = socket.listeners('data');
    socket.removeAllListeners('data');
    this.wire = new Wire(socket, () => {
      this.wire = null;
      for (const listener of listeners) socket.on('data', listener as (bytes: Buffer) => void);
      socket.resume();
    });
    return this.wire;
  }

  /**
   * Changes with every byte that passes, while the server owes us an answer or room for more; null while it does not, or while we keep it
   * from sending.
   */
  pulse(): string | null {
    const { stream } = this.driver.connection;
    const isDue = this.answersDue > 0 || this.wire?.answerDue === true || stream.writableNeedDrain;
    if (this.isEnded || !isDue || stream.isPaused()) return null;
    return `${stream.bytesRead} ${stream.bytesWritten - stream.writableLength}`;
  }

  /** A server error as it is; the end of the connection as CONNECTION_LOST with its cause. */
  explain(thrown: unknown): unknown {
    const cause = this.lost ?? thrown;
    if (isConnectionLoss(thrown) || (this.lost !== null && sqlstateOf(thrown) === undefined)) {
      return new AppError(
        'CONNECTION_LOST',
        { side: this.side, problem: cause instanceof Error ? cause.message : String(cause) },
        cause,
      );
    }
    return thrown;
  }

  /** Aborts when the connection ends without our having ended it. */
  whenLost(): AbortSignal {
    const lost = new AbortController();
    const { stream } = this.driver.connection;
    const tell = () => {
      if (!this.ended) lost.abort();
    };
    // The error comes first, and whoever hears of it may end what is left of the session.
    if (stream.destroyed) tell();
    else stream.once('error', tell).once('close', tell);
    return lost.signal;
  }

  get isEnded(): boolean {
    return this.ended || this.lost !== null || this.driver.connection.stream.destroyed;
  }

  /** Says goodbye; never throws. */
  async end(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    if (this.driver.connection.stream.destroyed) return;
    // A peer that is gone never says goodbye: do not wait for it.
    const cut = setTimeout(() => this.driver.connection.stream.destroy(), GOODBYE_MS);
    await this.client.end().catch(() => {});
    clearTimeout(cut);
  }

  /** Cuts a connection that is lost, and says why: what waits for it fails as if it had ended by itself. */
  cut(problem: string): void {
    this.lost ??= new Error(problem);
    this.driver.connection.stream.destroy();
  }

  /** Cuts the connection without a goodbye: for one that is in the middle of something. */
  destroy(): void {
    this.ended = true;
    this.driver.connection.stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

/** `server_version` ("15.18", "12.22 (Debian …)", "18beta1") as `server_version_num`. */
export function versionNumber(text: string): number {
  const [, major = '0', minor = '0', patch = '0'] = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(text) ?? [];
  return Number(major) >= 10
    ? Number(major) * 10_000 + Number(minor)
    : Number(major) * 10_000 + Number(minor) * 100 + Number(patch);
}

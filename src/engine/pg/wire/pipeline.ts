/**
 * Many statements in one round trip: Parse (once per text), Bind and Execute for each, one Sync at the end. The server runs them in
 * order and skips the rest after an error; inside a transaction block the Sync does not commit. The rows of a COPY follow its Execute at
 * once: a server that has refused the COPY passes over them like over everything else up to the Sync.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
import type { ByteText } from '../../change/change.ts';
import { PgError } from '../pg-error.ts';
import type { Session } from '../session.ts';
import { FrameReader } from './frames.ts';
import { copyDoneMessage, parseErrorResponse, rowsOfTag, TYPE } from './messages.ts';
import type { Wire } from './wire.ts';

export interface Statement {
  readonly sql: string;
  readonly values: readonly (ByteText | Buffer | null)[];
  /** Which values are in their type's binary form; without it none is. */
  readonly binary?: readonly boolean[];
  /** What a `COPY … FROM STDIN` reads, in its format. */
  readonly copyData?: Buffer;
}

/** Prepared statements kept per session; beyond it all are forgotten and prepared anew as they come. */
const MAX_PREPARED = 5_000;
const FLUSH_BYTES = 64 * 1024;
const SLICE_BYTES = 1024 * 1024;
const LARGE_BYTES = 8 * SLICE_BYTES;

/** A session used for pipelined statements only; its wire stays taken until `close`. */
export class Pipeline {
  private readonly session: Session;
  private readonly wire: Wire;
  private readonly names = new Map<string, string>();
  private prepared = 0;
  /** Texts that the batch under way prepares, in order. */
  private fresh: string[] = [];
  private outgoing: Buffer[] = [];
  private outgoingBytes = 0;
  /** Behind what is outgoing: of one statement, from its first large part on. */
  private large: Buffer[] = [];

  constructor(session: Session) {
    this.session = session;
    this.wire = session.takeWire();
  }

  /**
   * Runs the statements in order and returns the rows each one touched. Throws PgError with `statementIndex` of the first that
   * failed (nothing after it ran), or CONNECTION_LOST. One call at a time.
   */
  async run(statements: readonly Statement[]): Promise<number[]> {
    const { promise, resolve, reject } = Promise.withResolvers<number[]>();
    const forgets = this.names.size >= MAX_PREPARED;
    const run = new Run({ resolve, reject }, forgets ? 1 : 0);
    const frames = new FrameReader();
    this.fresh = [];
    this.wire.listen({
      chunk: (bytes) => frames.feed(bytes, (type, payload) => run.frame(type, payload)),
      closed: (error) => run.closed(error),
    });
    try {
      if (forgets) this.forget();
      for (const statement of statements) {
        this.send(statement);
        if (this.large.length > 0) await this.writeLarge(promise);
      }
      this.wire.answerDue = true;
      this.write(SYNC);
      this.flush();
      return await promise;
    } catch (thrown) {
      // What followed the error was not parsed. What was parsed before stays, or each error would leave it on the server once more.
      if (forgets || !(thrown instanceof PgError)) this.names.clear();
      else for (const sql of this.fresh.slice(run.parsed)) this.names.delete(sql);
      this.large = [];
      throw thrown instanceof PgError ? thrown : this.session.explain(thrown);
    } finally {
      this.wire.answerDue = false;
    }
  }

  private forget(): void {
    this.names.clear();
    this.send({ sql: 'DEALLOCATE ALL', values: [] });
    this.names.clear();
  }

  private send({ sql, values, binary = [], copyData }: Statement): void {
    let name = this.names.get(sql);
    if (name === undefined) {
      name = `o${this.prepared++}`;
      this.names.set(sql, name);
      this.fresh.push(sql);
      this.write(parseMessage(name, sql));
    }
    for (const part of bindExecuteMessage(name, values, binary)) this.write(part);
    if (copyData === undefined) return;
    this.write(copyDataHead(copyData.length));
    this.write(copyData);
    this.write(copyDoneMessage);
  }

  /** Small messages leave together: each write is a call of the system. */
  private write(message: Buffer): void {
    if (this.large.length > 0 || message.length > LARGE_BYTES) {
      this.large.push(message);
      return;
    }
    if (message.length >= FLUSH_BYTES) {
      this.flush();
      this.wire.write(message);
      return;
    }
    this.outgoing.push(message);
    this.outgoingBytes += message.length;
    if (this.outgoingBytes >= FLUSH_BYTES) this.flush();
  }

  /** What is large leaves in slices, the next when the one before has gone: nothing may copy the whole (I4). `over`: nobody reads any more. */
  private async writeLarge(over: Promise<unknown>): Promise<void> {
    this.flush();
    let isOver = false;
    const end = () => (isOver = true);
    const ended = over.then(end, end);
    for (const message of this.large)
      for (let at = 0; at < message.length && !isOver; at += SLICE_BYTES)
        if (!this.wire.write(message.subarray(at, at + SLICE_BYTES)))
          await Promise.race([new Promise<void>((drained) => this.wire.onDrain(drained)), ended]);
    this.large = [];
  }

  private flush(): void {
    if (this.outgoing.length > 0) this.wire.write(Buffer.concat(this.outgoing, this.outgoingBytes));
    this.outgoing = [];
    this.outgoingBytes = 0;
  }

  close(): void {
    this.wire.listen(null);
    this.wire.release();
  }
}

class Run {
  private readonly tags: number[] = [];
  private error: PgError | null = null;
  /** Statements prepared. */
  parsed = 0;
  private readonly done: { resolve(rows: number[]): void; reject(error: unknown): void };
  /** Statements of our own before the caller's: left out of rows and indexes. */
  private readonly ours: number;

  constructor(done: Run['done'], ours: number) {
    this.done = done;
    this.ours = ours;
  }

  frame(type: number, payload: Buffer): void {
    if (type === TYPE.commandComplete) this.tags.push(rowsOfTag(payload));
    else if (type === TYPE.parseComplete) this.parsed++;
    else if (type === TYPE.error) this.error ??= parseErrorResponse(payload, this.tags.length - this.ours);
    else if (type === TYPE.ready) {
      if (this.error) this.done.reject(this.error);
      else this.done.resolve(this.tags.slice(this.ours));
    }
  }

  closed(error: Error): void {
    this.done.reject(this.error ?? error);
  }
}

const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);

function parseMessage(name: string, sql: string): Buffer {
  const body = Buffer.from(`${name}\0${sql}\0\0\0`);
  const head = Buffer.allocUnsafe(5);
  head.write('P', 0, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const EXECUTE = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]);

/** Bind of the unnamed portal without result columns' formats, then Execute without a row limit. Large values are parts of their own. */
function bindExecuteMessage(
  name: string,
  values: readonly (ByteText | Buffer | null)[],
  binary: readonly boolean[],
): Buffer[] {
  let size = 5 + 1 + name.length + 1 + 2 + 2 * binary.length + 2 + 2;
  let apart = 0;
  for (const value of values) {
    size += 4 + (value === null ? 0 : value.length);
    if (typeof value === 'object' && value !== null && value.length > SLICE_BYTES) apart += value.length;
  }
  const buffer = Buffer.allocUnsafe(size - apart + EXECUTE.length);
  const parts: Buffer[] = [];
  let begin = 0;
  let at = buffer.write('B', 0, 'latin1');
  at = buffer.writeUInt32BE(size - 1, at);
  at = buffer.writeUInt8(0, at);
  at += buffer.write(name, at, 'latin1');
  at = buffer.writeUInt8(0, at);
  at = buffer.writeUInt16BE(binary.length, at);
  for (const isBinary of binary) at = buffer.writeUInt16BE(isBinary ? 1 : 0, at);
  at = buffer.writeUInt16BE(values.length, at);
  for (const value of values) {
    at = buffer.writeInt32BE(value === null ? -1 : value.length, at);
    if (typeof value === 'string') at += buffer.write(value, at, 'latin1');
    else if (value !== null && value.length <= SLICE_BYTES) at += value.copy(buffer, at);
    else if (value !== null) {
      parts.push(buffer.subarray(begin, at), value);
      begin = at;
    }
  }
  at = buffer.writeUInt16BE(0, at);
  EXECUTE.copy(buffer, at);
  return [...parts, buffer.subarray(begin)];
}

function copyDataHead(length: number): Buffer {
  const head = Buffer.allocUnsafe(5);
  head.write('d', 0, 'latin1');
  head.writeUInt32BE(length + 4, 1);
  return head;
}

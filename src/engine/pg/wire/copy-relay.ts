/**
 * COPY … TO STDOUT of one server straight into COPY … FROM STDIN of another, without looking at the rows.
 *
 *   1. the target is asked first and must answer CopyInResponse, then the source must answer CopyOutResponse;
 *   2. CopyData messages have the same form in both directions, so their bytes go over as they come, also parts of a message:
 *      memory does not depend on the size of a row;
 *   3. the target's full send buffer pauses the source's socket, and so does the pace; it flows again when neither holds it;
 *   4. where rows must be looked at, whole messages are decoded, transformed and encoded on their way (copy-rows.ts);
 *   5. both sides end with a command tag whose row counts must be equal (the caller compares, P4).
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
import { PgError, sqlstateOf } from '../pg-error.ts';
import type { Session } from '../session.ts';
import { FrameReader } from './frames.ts';
import {
  copyDoneMessage,
  copyFailMessage,
  parseErrorResponse,
  queryMessage,
  rowsOfTag,
  TYPE,
} from './messages.ts';
import { transformMessage, type RowTransform } from './copy-rows.ts';
import type { CopyAmount, CopyPace, Pause } from './copy-pace.ts';
import type { Wire } from './wire.ts';

export interface CopyResult {
  readonly rowsOut: number;
  readonly rowsIn: number;
  /** Rows that the transform left out: rowsOut is rowsIn and these. */
  readonly leftOut: number;
  /** Payload bytes of the rows. */
  readonly bytes: number;
}

/** What failed, and on which side; both sessions are unusable afterwards. */
export class CopyError extends Error {
  override readonly name = 'CopyError';
  readonly side: 'source' | 'target';
  /** Rows that had passed; of a failure on the target, some of them it has not looked at. */
  readonly rows: number;

  constructor(side: 'source' | 'target', cause: unknown, rows: number) {
    super(cause instanceof PgError ? cause.shown : cause instanceof Error ? cause.message : String(cause), {
      cause,
    });
    this.side = side;
    this.rows = rows;
  }

  get sqlstate(): string {
    return sqlstateOf(this.cause) ?? '-----';
  }
}

export interface CopyStatements {
  readonly out: string;
  readonly in: string;
  /** Told the bytes and rows as they pass. */
  readonly onPass: (bytes: number, rows: number) => void;
  /** Both statements must use the text format then. */
  readonly transform?: RowTransform | null;
  /** Without one the copy runs as fast as both ends can. */
  readonly pace?: CopyPace | null;
}

/** Relays one COPY. Throws CopyError; then both connections are cut, because one of them is in the middle of a COPY. */
export async function relayCopy(
  source: Session,
  target: Session,
  statements: CopyStatements,
  signal: AbortSignal,
): Promise<CopyResult> {
  signal.throwIfAborted();
  const from = source.takeWire();
  const to = target.takeWire();
  const { promise, resolve, reject } = Promise.withResolvers<CopyResult>();
  const relay = new Relay(from, to, statements, { resolve, reject });
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    relay.start();
    const result = await promise;
    from.release();
    to.release();
    return result;
  } catch (thrown) {
    from.listen(null);
    to.listen(null);
    source.destroy();
    target.destroy();
    if (!(thrown instanceof CopyError)) throw thrown;
    const failed = thrown.side === 'source' ? source : target;
    throw new CopyError(thrown.side, failed.explain(thrown.cause), thrown.rows);
  } finally {
    relay.stop();
    signal.removeEventListener('abort', abort);
  }
}

const HEADER = 5;
const NOTHING = Buffer.alloc(0);
const ANY: CopyAmount = { rows: Infinity, bytes: Infinity };

class Relay {
  private readonly from: Wire;
  private readonly to: Wire;
  private readonly statements: CopyStatements;
  private readonly done: { resolve(result: CopyResult): void; reject(error: unknown): void };
  private rowsOut = -1;
  private rowsIn = -1;
  private bytes = 0;
  private rows = 0;
  private leftOut = 0;
  private ready = 0;
  /** Bytes of the current CopyData message that are still to come. */
  private passing = 0;
  /** What must wait: the beginning of a header that the last chunk ended in, or the rest of a chunk during a pause. */
  private carried: Buffer = NOTHING;
  /** CopyData messages to come that hold no row. */
  private rowless = 0;
  private draining = false;
  private pause: Pause | null = null;
  private readonly control = new FrameReader();

  constructor(from: Wire, to: Wire, statements: CopyStatements, done: Relay['done']) {
    this.from = from;
    this.to = to;
    this.statements = statements;
    this.done = done;
  }

  start(): void {
    const targetFrames = new FrameReader();
    this.to.listen({
      chunk: (bytes) => targetFrames.feed(bytes, (type, payload) => this.onTarget(type, payload)),
      closed: (error) => this.fail('target', error),
    });
    this.from.listen({
      chunk: (bytes) => this.onSource(bytes),
      closed: (error) => this.fail('source', error),
    });
    this.ask(this.to, queryMessage(this.statements.in));
  }

  /** Until it has answered, its server must show signs of life. */
  private ask(wire: Wire, message: Buffer): void {
    wire.answerDue = true;
    wire.write(message);
  }

  /** No timer outlives the relay. */
  stop(): void {
    this.pause?.cancel();
  }

  private fail(side: 'source' | 'target', error: unknown): void {
    if (side === 'source') this.to.write(copyFailMessage('the source failed'));
    this.done.reject(new CopyError(side, error, this.rows));
  }

  private onTarget(type: number, payload: Buffer): void {
    if (type === TYPE.copyIn) {
      // It only listens now.
      this.to.answerDue = false;
      this.ask(this.from, queryMessage(this.statements.out));
    } else if (type === TYPE.error) this.fail('target', parseErrorResponse(payload));
    else if (type === TYPE.commandComplete) this.rowsIn = rowsOfTag(payload);
    else if (type === TYPE.ready) this.finishOne(this.to);
  }

  /** Runs of CopyData bytes are forwarded as one slice; everything else goes through the frame reader. */
  private onSource(bytes: Buffer): void {
    const chunk = this.carried.length > 0 ? Buffer.concat([this.carried, bytes]) : bytes;
    this.carried = NOTHING;
    const { transform } = this.statements;
    if (transform) return this.decodeAll(chunk, transform);
    let offset = 0;
    while (offset < chunk.length) {
      if (this.pause !== null || this.isHeaderCutAt(chunk, offset)) {
        this.carried = chunk.subarray(offset);
        return;
      }
      if (this.passing === 0 && !this.isCopyDataAt(chunk, offset)) offset = this.feedControl(chunk, offset);
      else offset = this.forwardRun(chunk, offset);
    }
  }

  /** The decoding path: every row of the chunk is looked at, what is left of them goes on in one piece. */
  private decodeAll(chunk: Buffer, transform: RowTransform): void {
    const messages: Buffer[] = [];
    let ended = false;
    this.control.feed(chunk, (type, payload) => {
      if (type === TYPE.copyData) {
        const message = transformMessage(payload, transform);
        if (message === null) this.leftOut++;
        else messages.push(message);
        this.bytes += message === null ? 0 : message.length - HEADER;
      } else if (type === TYPE.copyDone) ended = true;
      else this.onSourceFrame(type, payload);
    });
    if (messages.length > 0) this.forward(Buffer.concat(messages), messages.length);
    if (ended) this.ask(this.to, copyDoneMessage);
  }

  /** Lets CopyData bytes through, as many as there are and the pace takes at once, and returns the offset behind them. */
  private forwardRun(chunk: Buffer, start: number): number {
    const most = this.statements.pace?.grain ?? ANY;
    const end = Math.min(chunk.length, start + most.bytes);
    let offset = start;
    let messages = 0;
    do {
      if (this.passing === 0) {
        if (messages === most.rows || this.isHeaderCutAt(chunk, offset)) break;
        const length = chunk.readUInt32BE(offset + 1);
        this.passing = length + 1;
        this.bytes += length - 4;
        messages++;
      }
      const step = Math.min(this.passing, end - offset);
      this.passing -= step;
      offset += step;
    } while (offset < end && this.isCopyDataAt(chunk, offset));
    this.forward(chunk.subarray(start, offset), messages);
    return offset;
  }

  /** A CopyData message begins here whose header is not whole: without it the message cannot be let through in parts. */
  private isHeaderCutAt(chunk: Buffer, offset: number): boolean {
    return this.passing === 0 && chunk.length - offset < HEADER && this.isCopyDataAt(chunk, offset);
  }

  /** A CopyData message begins here and no other message is unfinished. */
  private isCopyDataAt(chunk: Buffer, offset: number): boolean {
    return !this.control.isPartial && chunk[offset] === TYPE.copyData;
  }

  /** Feeds one message (or the part of it that is here) to the frame reader and returns the offset behind it. */
  private feedControl(chunk: Buffer, offset: number): number {
    const end = this.control.endOfMessage(chunk, offset);
    this.control.feed(chunk.subarray(offset, end), (type, payload) => this.onSourceFrame(type, payload));
    return end;
  }

  private onSourceFrame(type: number, payload: Buffer): void {
    if (type === TYPE.error) this.fail('source', parseErrorResponse(payload));
    // The end of a binary COPY is a message of its own; its beginning comes with the first row.
    else if (type === TYPE.copyOut) this.rowless = payload[0] === 1 ? 1 : 0;
    else if (type === TYPE.copyDone) this.ask(this.to, copyDoneMessage);
    else if (type === TYPE.commandComplete) this.rowsOut = rowsOfTag(payload);
    else if (type === TYPE.ready) this.finishOne(this.from);
  }

  private forward(bytes: Buffer, messages: number): void {
    const rowless = Math.min(this.rowless, messages);
    this.rowless -= rowless;
    const rows = messages - rowless;
    this.rows += rows;
    this.statements.onPass(bytes.length, rows);
    if (!this.to.give(bytes) && !this.draining) {
      this.draining = true;
      this.from.pause();
      this.to.onDrain(() => {
        this.draining = false;
        this.resumeSource();
      });
    }
    if (this.statements.pace) this.slowDown(this.statements.pace, { rows, bytes: bytes.length });
  }

  private slowDown(pace: CopyPace, passed: CopyAmount): void {
    this.pause = pace.spend(passed, () => this.goOn());
    if (this.pause !== null) this.from.pause();
  }

  private goOn(): void {
    this.pause = null;
    const rest = this.carried;
    this.carried = NOTHING;
    this.onSource(rest);
    this.resumeSource();
  }

  private resumeSource(): void {
    if (!this.draining && this.pause === null) this.from.resume();
  }

  private finishOne(wire: Wire): void {
    wire.answerDue = false;
    this.ready++;
    if (this.ready === 2)
      this.done.resolve({
        rowsOut: this.rowsOut,
        rowsIn: this.rowsIn,
        leftOut: this.leftOut,
        bytes: this.bytes,
      });
  }
}

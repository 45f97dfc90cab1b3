/**
 * The change stream of a slot: START_REPLICATION on a taken wire, decoded messages out, positions back.
 *
 * Invariants: (S1) what is reported as flushed is only what `confirm()` was given (I5, P9); (S2) status goes out from a timer that
 * waits for nobody, also while our consumer is slow; (S3) a full queue pauses the socket, so memory is bounded by the
 * queue plus one message.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
import { AppError } from '../../../base/errors/app-error.ts';
import type { StreamMessage } from '../../change/change.ts';
import { formatLsn, lsnFrom, type Lsn } from '../../change/lsn.ts';
import { ident, literal } from '../ident.ts';
import { decode, type RelationCache } from '../pgoutput/decode.ts';
import type { Session } from '../session.ts';
import { FrameReader } from '../wire/frames.ts';
import {
  copyDataMessage,
  copyDoneMessage,
  parseErrorResponse,
  queryMessage,
  TYPE,
} from '../wire/messages.ts';
import type { Wire } from '../wire/wire.ts';
import { judgeLiveness } from './liveness.ts';

export interface StreamOptions {
  readonly slot: string;
  readonly publication: string;
  /** Where to begin: transactions that end before are not sent. */
  readonly from: Lsn;
  /** What may be reported as flushed from the start (P9). */
  readonly safe: Lsn;
  readonly walSenderTimeoutMs: number;
}

/** A decoded message, or a keepalive that says how far the source's WAL has been read for us. */
export type StreamItem = StreamMessage | { readonly kind: 'keepalive'; readonly walEnd: Lsn };

const TICK_MS = 100;
const LEAVE_MS = 1_000;
const MAX_QUEUED_BYTES = 8 * 1024 * 1024;
const POSTGRES_EPOCH_MS = 946_684_800_000;

export class SlotStream implements AsyncDisposable {
  private readonly session: Session;
  private readonly wire: Wire;
  private readonly options: StreamOptions;
  private readonly relations: RelationCache = new Map();
  private readonly frames = new FrameReader();
  private readonly timer: NodeJS.Timeout;
  /** What was taken is null at once: a thousand large rows must not wait for the next compaction. */
  private queue: ({ readonly item: StreamItem; readonly bytes: number } | null)[] = [];
  private head = 0;
  private queuedBytes = 0;
  private paused = false;
  private wake: (() => void) | null = null;
  private failure: unknown = null;
  private ended = false;
  private confirmed: Lsn;
  private reported: Lsn;
  private received: Lsn;
  private lastReceived = performance.now();
  private lastStatus = performance.now();
  private replyAsked = false;

  private constructor(session: Session, wire: Wire, options: StreamOptions) {
    this.session = session;
    this.wire = wire;
    this.options = options;
    this.confirmed = options.safe;
    this.reported = options.safe;
    this.received = options.from;
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  /** Starts streaming on a replication session, which belongs to the stream from now on. */
  static start(session: Session, options: StreamOptions): SlotStream {
    const stream = new SlotStream(session, session.takeWire(), options);
    stream.wire.listen({
      chunk: (bytes) => stream.onChunk(bytes),
      closed: (error) => stream.fail(session.explain(error)),
    });
    const settings = `proto_version '1', publication_names ${literal(ident(options.publication))}`;
    stream.wire.write(
      queryMessage(
        `START_REPLICATION SLOT ${ident(options.slot)} LOGICAL ${formatLsn(options.from)} (${settings})`,
      ),
    );
    return stream;
  }

  /** The next item; waits for one. Throws when the stream is broken, AbortError when the signal aborts. */
  async next(signal: AbortSignal): Promise<StreamItem> {
    for (;;) {
      signal.throwIfAborted();
      const item = this.takeQueued();
      if (item) return item;
      if (this.failure !== null) throw this.failure;
      await this.arrival(signal);
    }
  }

  /** The next item if one is here already. */
  takeQueued(): StreamItem | null {
    const entry = this.queue[this.head];
    if (!entry) return null;
    this.queue[this.head] = null;
    this.head++;
    this.queuedBytes -= entry.bytes;
    if (this.head > 1024 && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
    if (this.paused && this.queuedBytes < MAX_QUEUED_BYTES / 2) {
      this.paused = false;
      this.lastReceived = performance.now();
      this.wire.resume();
    }
    return entry.item;
  }

  /** Reports `lsn` as flushed from now on: everything before it is durable in the target (P9). */
  confirm(lsn: Lsn): void {
    if (lsn > this.confirmed) this.confirmed = lsn;
  }

  /** Asks the source for a keepalive, to learn how far it has read although nothing concerns us. */
  askForPosition(): void {
    if (!this.ended) this.sendStatus(true);
  }

  private arrival(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const aborted = () => resolve();
    this.wake = resolve;
    signal.addEventListener('abort', aborted, { once: true });
    return promise.finally(() => {
      this.wake = null;
      signal.removeEventListener('abort', aborted);
    });
  }

  private onChunk(bytes: Buffer): void {
    // Behind a message that was not understood there is a gap: nothing after it may reach the consumer.
    if (this.failure !== null) return;
    this.lastReceived = performance.now();
    try {
      this.frames.feed(bytes, (type, payload) => this.onFrame(type, payload));
    } catch (thrown) {
      this.fail(thrown);
    }
    if (!this.paused && this.queuedBytes > MAX_QUEUED_BYTES) {
      this.paused = true;
      this.wire.pause();
    }
    this.wake?.();
  }

  private onFrame(type: number, payload: Buffer): void {
    if (type === TYPE.error) this.fail(this.session.explain(parseErrorResponse(payload)));
    if (type !== TYPE.copyData) return;
    const kind = payload[0];
    if (kind === 0x77) {
      // w: XLogData with start, end and clock before the message itself
      const item = decode(payload.subarray(25), this.relations);
      this.received = maxLsn(this.received, lsnFrom(payload.readBigUInt64BE(1)));
      this.push(item, payload.length);
    } else if (kind === 0x6b) {
      // k: keepalive
      const walEnd = lsnFrom(payload.readBigUInt64BE(1));
      this.received = maxLsn(this.received, walEnd);
      if (payload[17] === 1) this.replyAsked = true;
      this.push({ kind: 'keepalive', walEnd }, 32);
    }
  }

  private push(item: StreamItem, bytes: number): void {
    const last = this.queue.at(-1);
    // Keepalives on an idle stream replace one another.
    if (item.kind === 'keepalive' && last?.item.kind === 'keepalive' && this.queue.length > this.head) {
      this.queue[this.queue.length - 1] = { item, bytes: last.bytes };
      return;
    }
    this.queue.push({ item, bytes });
    this.queuedBytes += bytes;
  }

  private tick(): void {
    if (this.ended) return;
    const verdict = judgeLiveness({
      now: performance.now(),
      lastReceived: this.lastReceived,
      lastStatus: this.lastStatus,
      replyAsked: this.replyAsked,
      positionMoved: this.confirmed > this.reported,
      paused: this.paused,
      walSenderTimeoutMs: this.options.walSenderTimeoutMs,
    });
    if (verdict === 'dead') {
      this.fail(
        new AppError('SOURCE_SILENT', {
          seconds: Math.round((performance.now() - this.lastReceived) / 1000),
        }),
      );
    } else if (verdict !== 'nothing') this.sendStatus(verdict === 'ask-for-reply');
  }

  /** Written = what we received, flushed and applied = what is durable (S1). */
  private sendStatus(askReply: boolean): void {
    const body = Buffer.alloc(34);
    body.write('r', 0, 'latin1');
    body.writeBigUInt64BE(maxLsn(this.received, this.confirmed), 1);
    body.writeBigUInt64BE(this.confirmed, 9);
    body.writeBigUInt64BE(this.confirmed, 17);
    body.writeBigInt64BE(BigInt(Date.now() - POSTGRES_EPOCH_MS) * 1000n, 25);
    body.writeUInt8(askReply ? 1 : 0, 33);
    this.wire.write(copyDataMessage(body));
    this.reported = this.confirmed;
    this.lastStatus = performance.now();
    this.replyAsked = false;
  }

  private fail(error: unknown): void {
    if (this.ended) return;
    this.failure ??= error;
    this.wake?.();
  }

  /** Reports the last position, leaves the COPY as the protocol asks, and ends the connection; the slot stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.timer);
    if (this.failure === null) await this.leaveCopy();
    this.wire.listen(null);
    this.session.destroy();
  }

  /** The server answers CopyDone with its own and is then ready; a busy one may take longer than we wait. */
  private async leaveCopy(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wire.listen({
      chunk: (bytes) => this.frames.feed(bytes, (type) => type === TYPE.ready && resolve()),
      closed: () => resolve(),
    });
    this.wire.resume();
    this.sendStatus(false);
    this.wire.write(copyDoneMessage);
    const waited = setTimeout(resolve, LEAVE_MS);
    await promise;
    clearTimeout(waited);
  }
}

function maxLsn(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}

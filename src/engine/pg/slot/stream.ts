/**
 * The change stream of a slot: START_REPLICATION on a taken wire, decoded messages out, positions back.
 *
 * Invariants: (S1) what is reported as flushed is only what `confirm()` was given (I5, P9); (S2) status goes out from a timer that
 * waits for nobody, also while our consumer is slow; (S3) a full queue pauses the socket, and so does a large message that nobody waits
 * for yet, so memory is bounded by the queue plus one message. What waits is bytes; it is decoded as it is taken.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
import { AppError } from '../../../base/errors/app-error.ts';
import type { StreamMessage } from '../../change/change.ts';
import { formatLsn, lsnFrom, type Lsn } from '../../change/lsn.ts';
import { ident } from '../ident.ts';
import type { Session } from '../session.ts';
import {
  copyDataMessage,
  copyDoneMessage,
  parseErrorResponse,
  queryMessage,
  TYPE,
} from '../wire/messages.ts';
import type { Wire } from '../wire/wire.ts';
import { WAL_DATA_HEADER, type MessageDecoder } from './decoder.ts';
import { judgeLiveness } from './liveness.ts';
import { MessageQueue } from './message-queue.ts';
import { ReadPace } from './read-pace.ts';

export interface StreamOptions<Message> {
  readonly slot: string;
  readonly decoder: MessageDecoder<Message>;
  /** Where to begin: transactions that end before are not sent. */
  readonly from: Lsn;
  /** What may be reported as flushed from the start (P9). */
  readonly safe: Lsn;
  readonly walSenderTimeoutMs: number;
}

/** Says how far the source's WAL has been read for us. */
export interface Keepalive {
  readonly kind: 'keepalive';
  readonly walEnd: Lsn;
}
export type StreamItem = StreamMessage | Keepalive;

const TICK_MS = 100;
const LEAVE_MS = 1_000;
/** A source that runs far ahead takes the processor from the target, and leaves it alone at the end. */
const MAX_QUEUED_BYTES = 1024 * 1024;
const LARGE_BYTES = 8 * 1024 * 1024;
/** Kinds of CopyData: XLogData and keepalive. */
const WAL_DATA = 0x77;
const KEEPALIVE = 0x6b;
const POSTGRES_EPOCH_MS = 946_684_800_000;

export class SlotStream<Message = StreamMessage> implements AsyncDisposable {
  private readonly session: Session;
  private readonly wire: Wire;
  private readonly options: StreamOptions<Message>;
  private readonly queue = new MessageQueue();
  private readonly pace: ReadPace;
  private readonly timer: NodeJS.Timeout;
  private paused = false;
  private arrival: PromiseWithResolvers<void> | null = null;
  private heeded: AbortSignal | null = null;
  private failure: unknown = null;
  private ended = false;
  private confirmed: Lsn;
  private reported: Lsn;
  private received: Lsn;
  private lastReceived = performance.now();
  private lastStatus = performance.now();
  private replyAsked = false;

  private constructor(session: Session, wire: Wire, options: StreamOptions<Message>) {
    this.session = session;
    this.wire = wire;
    this.options = options;
    this.confirmed = options.safe;
    this.reported = options.safe;
    this.received = options.from;
    this.pace = new ReadPace(wire);
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  /** Starts streaming on a replication session, which belongs to the stream from now on. */
  static start<Message>(session: Session, options: StreamOptions<Message>): SlotStream<Message> {
    const stream = new SlotStream(session, session.takeWire(), options);
    stream.wire.listen({
      chunk: (bytes) => stream.onChunk(bytes),
      closed: (error) => stream.fail(session.explain(error)),
    });
    stream.wire.write(
      queryMessage(
        `START_REPLICATION SLOT ${ident(options.slot)} LOGICAL ${formatLsn(options.from)} (${options.decoder.settings})`,
      ),
    );
    return stream;
  }

  /** The next item; waits for one. Throws when the stream is broken, AbortError when the signal aborts. */
  async next(signal: AbortSignal): Promise<Message | Keepalive> {
    for (;;) {
      const item = this.takeQueued();
      if (item) return item;
      await this.ready(signal);
    }
  }

  /** Resolves once something may be taken. Throws what `next` throws; what came before a failure is to be taken first. */
  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.queue.isEmpty) return;
    if (this.failure !== null) throw this.failure;
    if (this.paused) this.goOn();
    this.arrival ??= Promise.withResolvers();
    const { promise } = this.arrival;
    this.heed(signal);
    await promise;
    signal.throwIfAborted();
  }

  /** Listens to the signal until another one comes: a listener for each wait costs more than the wait. */
  private heed(signal: AbortSignal): void {
    if (this.heeded === signal) return;
    this.heeded?.removeEventListener('abort', this.wake);
    this.heeded = signal;
    signal.addEventListener('abort', this.wake);
  }

  private readonly wake = (): void => {
    this.arrival?.resolve();
    this.arrival = null;
  };

  /** The next item if one is here already. */
  takeQueued(): Message | Keepalive | null {
    const { queue } = this;
    while (queue.next()) {
      if (this.paused && queue.whole < MAX_QUEUED_BYTES / 2 && !this.isLargeComing) this.goOn();
      try {
        const item = this.read();
        if (item !== null) return item;
      } catch (thrown) {
        // Behind a message that was not understood there is a gap: nothing after it may reach the consumer.
        queue.clear();
        this.fail(thrown);
      }
    }
    return null;
  }

  /** The item in the message taken last; null where there is none for the consumer. */
  private read(): Message | Keepalive | null {
    const { queue } = this;
    const { decoder } = this.options;
    const { bytes, start } = queue;
    if (queue.type === TYPE.error)
      throw this.session.explain(parseErrorResponse(bytes.subarray(start, queue.end)));
    if (queue.type !== TYPE.copyData) return null;
    if (bytes[start] === WAL_DATA) return decoder.decode(bytes, start + WAL_DATA_HEADER, queue.end);
    if (bytes[start] !== KEEPALIVE) return null;
    const next = queue.peek();
    // On an idle stream one replaces the other.
    if (next.type === TYPE.copyData && next.kind === KEEPALIVE) return null;
    return { kind: 'keepalive', walEnd: lsnFrom(bytes.readBigUInt64BE(start + 1)) };
  }

  /** Reports `lsn` as flushed from now on: everything before it is durable in the target (P9). */
  confirm(lsn: Lsn): void {
    if (lsn > this.confirmed) this.confirmed = lsn;
  }

  /** Asks the source for a keepalive, to learn how far it has read although nothing concerns us. */
  askForPosition(): void {
    if (!this.ended) this.sendStatus(true);
  }

  private onChunk(bytes: Buffer): void {
    if (this.failure !== null) return;
    this.lastReceived = performance.now();
    this.queue.push(bytes, (message, at) => this.onMessage(message, at));
    const isWaitedFor = this.arrival !== null && this.queue.isEmpty;
    if (!this.paused && (this.queue.whole > MAX_QUEUED_BYTES || (this.isLargeComing && !isWaitedFor))) {
      this.paused = true;
      this.wire.pause();
    } else if (!this.paused) this.pace.read(bytes.length, this.lastReceived);
    if (!this.queue.isEmpty) this.wake();
  }

  /** Before it is taken whatever was taken before must be done with: two of its size are too many. */
  private get isLargeComing(): boolean {
    return this.queue.coming > LARGE_BYTES;
  }

  /** What is of interest at once, whenever the message is taken. `at`: where it begins, header included. */
  private onMessage(bytes: Buffer, at: number): void {
    const kind = bytes[at + 5];
    if (bytes[at] !== TYPE.copyData || (kind !== WAL_DATA && kind !== KEEPALIVE)) return;
    this.received = maxLsn(this.received, lsnFrom(bytes.readBigUInt64BE(at + 6)));
    if (kind === KEEPALIVE && bytes[at + 22] === 1) this.replyAsked = true;
  }

  private goOn(): void {
    this.paused = false;
    this.lastReceived = performance.now();
    this.wire.resume();
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
    this.wake();
  }

  /** Reports the last position, leaves the COPY as the protocol asks, and ends the connection; the slot stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.timer);
    this.heeded?.removeEventListener('abort', this.wake);
    this.pace.go();
    if (this.failure === null) await this.leaveCopy();
    this.wire.listen(null);
    this.session.destroy();
  }

  /** The server answers CopyDone with its own and is then ready; a busy one may take longer than we wait. */
  private async leaveCopy(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.queue.clear();
    this.wire.listen({
      chunk: (bytes) => {
        this.queue.push(bytes, (message, at) => message[at] === TYPE.ready && resolve());
        this.queue.clear();
      },
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

/** When to tell the source where we are, and when to call it dead. Pure: the stream's timer only asks. */

export interface StreamClock {
  readonly now: number;
  /** When the last byte came from the source. */
  readonly lastReceived: number;
  /** When the last status went out. */
  readonly lastStatus: number;
  /** A keepalive asked for an answer since the last status. */
  readonly replyAsked: boolean;
  /** The position to report moved since the last status. */
  readonly positionMoved: boolean;
  /** The socket is paused by us: silence then says nothing about the source. */
  readonly paused: boolean;
  /** `wal_sender_timeout` of the source; 0 means it never gives up on us. */
  readonly walSenderTimeoutMs: number;
}

export type LivenessVerdict = 'nothing' | 'send-status' | 'ask-for-reply' | 'dead';

const DEFAULT_TIMEOUT_MS = 60_000;
/** A moved position is reported at most this often, so that a busy stream does not drown in status messages. */
const POSITION_INTERVAL_MS = 200;

export function judgeLiveness(clock: StreamClock): LivenessVerdict {
  const timeout = clock.walSenderTimeoutMs > 0 ? clock.walSenderTimeoutMs : DEFAULT_TIMEOUT_MS;
  const silent = clock.now - clock.lastReceived;
  const sinceStatus = clock.now - clock.lastStatus;
  // The source sends a keepalive after half its timeout: two timeouts of silence mean that it is gone.
  if (!clock.paused && silent > 2 * timeout) return 'dead';
  if (clock.replyAsked) return 'send-status';
  if (clock.positionMoved && sinceStatus >= POSITION_INTERVAL_MS) return 'send-status';
  if (!clock.paused && silent > timeout / 2 && sinceStatus > timeout / 6) return 'ask-for-reply';
  if (sinceStatus >= Math.min(timeout / 3, 10_000)) return 'send-status';
  return 'nothing';
}

/**
 * Which transaction is the last one before a recorded position. A BEGIN does not say where its transaction ends, so where the target's
 * tables stand at different positions (a stopped table catches up), the stream is read twice: first only for this.
 */
import type { Lsn } from '../../change/lsn.ts';
import type { SlotStream } from '../slot/stream.ts';
import { begunXid, isCommit, type TextMessage } from './text-message.ts';

export interface Marks {
  /** No commit record of the stream begins before it. */
  readonly first: Lsn;
  /** Behind the commit of this transaction no commit record begins before this position. */
  readonly after: ReadonlyMap<number, Lsn>;
}

const NUDGE_MS = 250;

/** `positions`: recorded ones, behind the beginning of the stream. Nothing is confirmed. */
export async function findMarks(
  stream: SlotStream<TextMessage>,
  from: Lsn,
  positions: readonly Lsn[],
  signal: AbortSignal,
): Promise<Marks> {
  const left = positions.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const after = new Map<number, Lsn>();
  let first = from;
  let before: number | null = null;
  let open: number | null = null;
  const mark = (position: Lsn) => {
    if (before === null) first = position;
    else after.set(before, position);
  };
  const nudge = setInterval(() => stream.askForPosition(), NUDGE_MS);
  try {
    while (left.length > 0) {
      const item = await stream.next(signal);
      if (item.kind === 'keepalive') {
        // Between two transactions it says that the log has been read so far.
        while (open === null && left[0] !== undefined && item.walEnd >= left[0]) mark(left.shift() ?? from);
        continue;
      }
      open = begunXid(item.text) ?? open;
      if (!isCommit(item.text)) continue;
      while (left[0] !== undefined && item.at > left[0]) mark(left.shift() ?? from);
      before = open;
      open = null;
    }
  } finally {
    clearInterval(nudge);
  }
  return { first, after };
}

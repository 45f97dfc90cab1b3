/**
 * How long after its commit on the source a change can be seen on the target. Pure: it is told what was seen, and asked. All of it goes
 * by the source's clock, which is read now and then; our own only measures how much time has passed since.
 *
 * Behind: the age of the oldest moment from which on commits may be missing on the target. In step: what the newest commit took.
 */
import type { Lsn } from '../change/lsn.ts';

/** One look at the source's clock. All in ms since 1970; asked and answered by our own clock. */
export interface ClockReading {
  readonly askedMs: number;
  readonly answeredMs: number;
  readonly sourceMs: number;
}

/** The clocks may be set while we run: only the newest readings count. */
const READINGS = 30;
/** Marks that are not passed yet; older ones say more than newer ones. */
const MARKS = 600;
/** What the newest commit took says nothing of now when it is older; if it had to wait, sooner: when we are in step for as long as it took. */
const FRESH_MS = 15_000;
const WAITED_MS = 1_000;

const POSTGRES_EPOCH_MS = 946_684_800_000;

/** Commit times of the stream: microseconds since 2000. */
export function commitMs(commitTime: bigint): number {
  return Number(commitTime) / 1000 + POSTGRES_EPOCH_MS;
}

export class DelayMeter {
  private readings: ClockReading[] = [];
  /** Where the source's log ended at what time: all commits before it lie before that position. */
  private marks: { readonly end: Lsn; readonly sourceMs: number }[] = [];
  private reached: Lsn | null = null;
  /** Everything committed before is on the target. */
  private safeMs: number | null = null;
  private newest: { readonly tookMs: number; readonly atMs: number } | null = null;

  /** `end`: where the source's log ended, read after its clock. */
  sourceAt(reading: ClockReading, end: Lsn): void {
    this.readings = [...this.readings.slice(1 - READINGS), reading];
    if (this.reached !== null && end <= this.reached) this.safe(reading.sourceMs);
    else {
      // The newest is always there: what lies behind it is not in step.
      if (this.marks.length >= MARKS) this.marks.pop();
      this.marks.push({ end, sourceMs: reading.sourceMs });
    }
  }

  /** The target has everything up to `end`, with a commit of that time when one was applied. */
  applied(end: Lsn, commitTime: bigint | null, nowMs: number): void {
    if (this.reached === null || end > this.reached) this.reached = end;
    while (this.marks[0] && this.marks[0].end <= end) this.safe(this.marks.shift()?.sourceMs ?? 0);
    if (commitTime === null) return;
    const committed = commitMs(commitTime);
    this.safe(committed);
    const offset = this.offsetMs();
    if (offset !== null) this.newest = { tookMs: Math.max(0, nowMs + offset - committed), atMs: nowMs };
  }

  /** Milliseconds; null while nothing is known. */
  delayMs(nowMs: number): number | null {
    const offset = this.offsetMs();
    if (offset === null || this.reached === null) return null;
    if (this.marks.length === 0) return this.tookMs(nowMs);
    return this.safeMs === null ? null : Math.max(0, nowMs + offset - this.safeMs);
  }

  private tookMs(nowMs: number): number {
    if (this.newest === null) return 0;
    const { tookMs, atMs } = this.newest;
    const fresh = tookMs > WAITED_MS ? Math.min(tookMs, FRESH_MS) : FRESH_MS;
    return nowMs - atMs < fresh ? tookMs : 0;
  }

  private safe(sourceMs: number): void {
    if (this.safeMs === null || sourceMs > this.safeMs) this.safeMs = sourceMs;
  }

  /** What to add to our clock to get the source's: by the reading whose answer came fastest. */
  private offsetMs(): number | null {
    let best: ClockReading | null = null;
    const took = (reading: ClockReading) => reading.answeredMs - reading.askedMs;
    for (const reading of this.readings) if (best === null || took(reading) <= took(best)) best = reading;
    return best && best.sourceMs - (best.askedMs + best.answeredMs) / 2;
  }
}

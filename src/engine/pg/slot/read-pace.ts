/**
 * How the socket of a stream is read. A source sends each change by itself, and reading each by itself costs more than decoding it: under
 * a backlog the socket is left alone for a few milliseconds after each read, and then read in large pieces. While messages trickle it is
 * read as they come, so that nothing waits.
 */

/** What can be kept from reading. */
interface Held {
  holdReads(): void;
  letRead(): void;
}

const LOOK_MS = 10;
/** So many reads in LOOK_MS only come from a source that has more to send than we take. */
const FLOOD_READS = 150;
const REST_MS = 4;
/** A full read: there is more, and nothing to wait for. */
const FULL_BYTES = 48 * 1024;
/** After a rest, less than this says that the backlog is over. */
const TRICKLE_BYTES = 4 * 1024;

export class ReadPace {
  private readonly wire: Held;
  private since = 0;
  private reads = 0;
  private floods = false;
  private resting: NodeJS.Timeout | null = null;

  constructor(wire: Held) {
    this.wire = wire;
  }

  /** Tells of a read, at `now` (milliseconds of a steady clock). */
  read(bytes: number, now: number): void {
    if (this.floods) {
      if (bytes < TRICKLE_BYTES) this.floods = false;
      else if (bytes < FULL_BYTES) this.rest();
      return;
    }
    if (now - this.since > LOOK_MS) {
      this.since = now;
      this.reads = 0;
    }
    this.reads++;
    if (this.reads < FLOOD_READS) return;
    this.floods = true;
    this.rest();
  }

  private rest(): void {
    if (this.resting !== null) return;
    this.wire.holdReads();
    this.resting = setTimeout(() => this.go(), REST_MS);
  }

  /** Ends a rest: whoever pauses the socket must be the only one to do so. */
  go(): void {
    if (this.resting === null) return;
    clearTimeout(this.resting);
    this.resting = null;
    this.wire.letRead();
  }
}

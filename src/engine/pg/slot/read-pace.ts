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
const [SHORTEST_REST_MS, LONGEST_REST_MS] = [1, 4];
/** A read of this size costs little for what it brings. */
const LARGE_BYTES = 32 * 1024;
/** After a rest, less than this says that the backlog is over. */
const TRICKLE_BYTES = 4 * 1024;
/** More than this after a rest: the system's buffer was full, and the source has waited for us. */
const FULL_BYTES = 64 * 1024;

export class ReadPace {
  private readonly wire: Held;
  private since = 0;
  private reads = 0;
  private floods = false;
  private restMs = LONGEST_REST_MS;
  /** Bytes since the last rest. */
  private got = 0;
  private resting: NodeJS.Timeout | null = null;

  constructor(wire: Held) {
    this.wire = wire;
  }

  /** Tells of a read, at `now` (milliseconds of a steady clock). */
  read(bytes: number, now: number): void {
    this.got += bytes;
    if (this.floods) {
      if (this.got < TRICKLE_BYTES) this.floods = false;
      else if (bytes < LARGE_BYTES) this.rest();
      return;
    }
    if (now - this.since > LOOK_MS) {
      this.since = now;
      this.reads = 0;
    }
    this.reads++;
    if (this.reads < FLOOD_READS) return;
    this.floods = true;
    this.restMs = LONGEST_REST_MS;
    this.rest();
  }

  private rest(): void {
    if (this.resting !== null) return;
    if (this.got > FULL_BYTES) this.restMs = Math.max(SHORTEST_REST_MS, this.restMs / 2);
    else if (this.got < FULL_BYTES / 4) this.restMs = Math.min(LONGEST_REST_MS, this.restMs * 2);
    this.wire.holdReads();
    this.resting = setTimeout(() => this.go(), this.restMs);
  }

  /** Ends a rest: whoever pauses the socket must be the only one to do so. */
  go(): void {
    if (this.resting === null) return;
    clearTimeout(this.resting);
    this.resting = null;
    this.got = 0;
    this.wire.letRead();
  }
}

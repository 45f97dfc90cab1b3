/**
 * Which of an applier's commits are on the target's disk (data-plane P9, decision 28). Few wait for it; what one that waited has covered may
 * be reported to the slot.
 */
import type { Lsn } from '../../change/lsn.ts';
import type { Positions } from './positions.ts';

/** After so long an applier that has nothing to do waits for the disk; the source keeps what is newer. */
const DURABLE_MS = 2_500;
/** So does one that is never without work: the window itself is seen later then. */
const LATEST_MS = 5_000;

export class Durability {
  private readonly positions: Pick<Positions, 'safe'>;
  private durableLsn: Lsn;
  private durableAt = performance.now();
  private owes = false;

  /** Of positions that were read with a commit that waited. */
  constructor(positions: Pick<Positions, 'safe'>) {
    this.positions = positions;
    this.durableLsn = positions.safe;
  }

  /** Everything before it is on the target's disk, for all tables. */
  get lsn(): Lsn {
    return this.durableLsn;
  }

  /** A commit may be in the target's memory only. */
  get isOwing(): boolean {
    return this.owes;
  }

  /** For longer than it should. */
  get isDue(): boolean {
    return this.owes && this.age >= DURABLE_MS;
  }

  /** The next commit has to wait, whatever else there is to do. */
  get isLate(): boolean {
    return this.age >= LATEST_MS;
  }

  /** The first lane has committed, after the others; the positions say so. One that has waited brings all before it to the disk. */
  committed(isDurable: boolean): void {
    this.owes = !isDurable;
    if (!isDurable) return;
    this.durableLsn = this.positions.safe;
    this.durableAt = performance.now();
  }

  private get age(): number {
    return performance.now() - this.durableAt;
  }
}

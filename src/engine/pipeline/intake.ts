/**
 * What the stream has brought so far, for whoever takes a later snapshot while it runs (data-plane I2): a snapshot serves only if it sees
 * every transaction received until then, because changes of units that wait for their copy were dropped. While one is being taken the
 * intake is shut: nothing more is received.
 */
import { seesXid, type Snapshot } from '../change/snapshot.ts';

export class Intake {
  /** Received, and not known to be seen by every snapshot from now on. 32-bit xids. */
  private unseen: number[] = [];
  /** Every transaction with a smaller xid may have been received, by an earlier run. Null: none that is not in `unseen`. */
  private settled: bigint | null;
  private gate: PromiseWithResolvers<void> | null = null;

  /** `settled`: an xid that no transaction received before has reached; null where nothing was received. */
  constructor(settled: bigint | null) {
    this.settled = settled;
  }

  /** By the stream, at each Begin. */
  received(xid: number): void {
    this.unseen.push(xid);
  }

  /** The stream takes nothing until `open`. Takes effect at once, whatever the stream is at. */
  shut(): void {
    this.gate ??= Promise.withResolvers();
  }

  open(): void {
    this.gate?.resolve();
    this.gate = null;
  }

  /** Null while it is open. */
  get opening(): Promise<void> | null {
    return this.gate?.promise ?? null;
  }

  /** From now on a snapshot must also see every transaction below this xid: a publication has changed (I2). */
  settleFrom(xid: bigint): void {
    if (this.settled === null || xid > this.settled) this.settled = xid;
  }

  /** Whether the snapshot sees all that was received. */
  isSeenBy(snapshot: Snapshot): boolean {
    if (this.settled !== null && snapshot.xmin < this.settled) return false;
    for (const xid of this.unseen) if (!seesXid(snapshot, xid)) return false;
    return true;
  }

  /**
   * What a snapshot of the primary sees, all later ones see: it need not be remembered. Keeps the memory bounded. Not while one is being
   * taken: that may be the earlier of the two, although it is judged later.
   */
  forget(snapshot: Snapshot): void {
    if (this.gate !== null) return;
    if (this.settled !== null && snapshot.xmin >= this.settled) this.settled = null;
    this.unseen = this.unseen.filter((xid) => !seesXid(snapshot, xid));
  }
}

/**
 * MVCC snapshots `xmin:xmax:xip,…` and the rule of which transaction a snapshot sees (data-plane I1).
 * Xids in a snapshot's text are 64-bit (epoch included); xids on the replication stream have 32 bits and are extended
 * with the epoch nearest to the snapshot.
 */

export interface Snapshot {
  readonly xmin: bigint;
  readonly xmax: bigint;
  /** In progress when the snapshot was taken, all in [xmin, xmax). */
  readonly running: ReadonlySet<bigint>;
}

/** Parses the text of `pg_current_snapshot()` / `txid_current_snapshot()`. */
export function parseSnapshot(text: string): Snapshot {
  const match = /^(\d+):(\d+):([\d,]*)$/.exec(text);
  if (!match) throw new Error(`not a snapshot: ${text}`);
  const running = (match[3] ?? '')
    .split(',')
    .filter((xid) => xid !== '')
    .map(BigInt);
  return { xmin: BigInt(match[1] ?? ''), xmax: BigInt(match[2] ?? ''), running: new Set(running) };
}

/** Whether the snapshot sees the transaction's effects, given that it committed. */
export function sees(snapshot: Snapshot, xid: bigint): boolean {
  if (xid < snapshot.xmin) return true;
  return xid < snapshot.xmax && !snapshot.running.has(xid);
}

/**
 * Whether the snapshot sees what a 32-bit xid of the stream has done, given that it committed. Xids lie within 2^31 of one another: nearly
 * all are told by their distance from xmin, which costs a tenth of counting in 64 bits.
 */
export function seesXid(snapshot: Snapshot, xid: number): boolean {
  const xmin = Number(snapshot.xmin & 0xffffffffn);
  return ((xid - xmin) | 0) < 0 || sees(snapshot, extendXid(xid, snapshot));
}

/** A 32-bit xid of the stream as the 64-bit xid nearest to the snapshot's xmax. */
export function extendXid(xid: number, snapshot: Snapshot): bigint {
  const epoch = snapshot.xmax >> 32n;
  const candidates = [epoch - 1n, epoch, epoch + 1n]
    .filter((e) => e >= 0n)
    .map((e) => (e << 32n) | BigInt(xid));
  const distance = (a: bigint) => (a > snapshot.xmax ? a - snapshot.xmax : snapshot.xmax - a);
  return candidates.reduce((best, candidate) => (distance(candidate) < distance(best) ? candidate : best));
}

/** True when every transaction that `earlier` sees is seen by `later` too: the test of P3 and I2. */
export function coversAllOf(later: Snapshot, earlier: Snapshot): boolean {
  for (const xid of later.running) if (sees(earlier, xid)) return false;
  // What `later` does not see at all starts at its xmax; anything `earlier` sees from there on is missing.
  for (let xid = later.xmax; xid < earlier.xmax; xid++) if (sees(earlier, xid)) return false;
  return true;
}

/**
 * Tables that must be of one moment as a whole: their parts cannot be told by a key (data-plane I3), so while one is copied beside the
 * stream its changes wait, and the source keeps the log. Pure.
 */

/** Per second. */
export interface Speeds {
  readonly copyBytes: number;
  readonly walBytes: number;
}

export interface OnePiece {
  readonly seconds: number;
  readonly walBytes: bigint;
}

/** What copying so much in one piece takes, and makes the source keep. Null where nothing is known of the speed of the copy. */
export function forecast(bytes: bigint, { copyBytes, walBytes }: Speeds): OnePiece | null {
  if (!(copyBytes > 0)) return null;
  const seconds = Number(bytes) / copyBytes;
  return { seconds, walBytes: BigInt(Math.round(seconds * Math.max(0, walBytes))) };
}

/** `3 min`, `2.5 h` */
export function roughly(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** Up to where a window goes, and what is counted with it. */
import type { Lsn } from '../../change/lsn.ts';
import type { Account } from '../books/account.ts';

export type Accounts = ReadonlyMap<string, Account>;

/** `accounts`: by display name of the source table, what became of its changes since the last commit. */
export interface WindowEnd {
  readonly endLsn: Lsn;
  readonly commits: number;
  readonly accounts: Accounts;
  /** The commit is to wait for the disk, whenever one did last. */
  readonly isDurable?: boolean;
}

/** A window of nothing, which waits for the disk. */
export function positionOnly(endLsn: Lsn): WindowEnd {
  return { endLsn, commits: 0, accounts: new Map(), isDurable: true };
}

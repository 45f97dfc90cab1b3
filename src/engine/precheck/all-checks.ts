/** The checks in the order they are run and shown: what makes the rest pointless comes first. */
import type { Check } from './check.ts';
import { collation } from './collation.ts';
import { connections } from './connections.ts';
import { direction } from './direction.ts';
import { encoding } from './encoding.ts';
import { extensions } from './extensions.ts';
import { foreignTables } from './foreign-tables.ts';
import { largeObjects } from './large-objects.ts';
import { partitionedTables } from './partitioned-tables.ts';
import { publicationRight } from './publication-right.ts';
import { replicationRight } from './replication-right.ts';
import { rowKeys } from './row-keys.ts';
import { rowSecurity } from './row-security.ts';
import { sameDatabase } from './same-database.ts';
import { sessionReplicationRole } from './session-replication-role.ts';
import { slots } from './slots.ts';
import { slotWalLimit } from './slot-wal-limit.ts';
import { sourceRead } from './source-read.ts';
import { targetRights } from './target-rights.ts';
import { targetTables } from './target-tables.ts';
import { transactionsOlderThan } from './long-transactions.ts';
import { unloggedTables } from './unlogged-tables.ts';
import { versions } from './versions.ts';
import { walLevel } from './wal-level.ts';

/** Shorter transactions end before anybody has read the report. */
const LONG_TRANSACTION_SECONDS = 60;

export const ALL_CHECKS: readonly Check[] = [
  sameDatabase,
  direction,
  versions,
  walLevel,
  slots,
  replicationRight,
  sourceRead,
  rowSecurity,
  publicationRight,
  targetRights,
  targetTables,
  rowKeys,
  unloggedTables,
  transactionsOlderThan(LONG_TRANSACTION_SECONDS),
  extensions,
  encoding,
  collation,
  sessionReplicationRole,
  connections,
  slotWalLimit,
  partitionedTables,
  largeObjects,
  foreignTables,
];

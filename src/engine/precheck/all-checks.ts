/** The checks in the order they are run and shown: what makes the rest pointless comes first. */
import type { Check } from './check.ts';
import { changedTables } from './checks/changed-tables.ts';
import { collation } from './checks/collation.ts';
import { connections } from './checks/connections.ts';
import { ddlCapture } from './checks/ddl-capture.ts';
import { direction } from './checks/direction.ts';
import { encoding } from './checks/encoding.ts';
import { extensions } from './checks/extensions.ts';
import { failover } from './checks/failover.ts';
import { filters } from './checks/filters.ts';
import { foreignTables } from './checks/foreign-tables.ts';
import { heartbeat } from './checks/heartbeat.ts';
import { largeObjects } from './checks/large-objects.ts';
import { namedPublication } from './checks/named-publication.ts';
import { onePiecesOver } from './checks/one-piece.ts';
import { oneServer } from './checks/one-server.ts';
import { ownersAndRights } from './checks/owners-and-rights.ts';
import { partitionedTables } from './checks/partitioned-tables.ts';
import { publicationRight } from './checks/publication-right.ts';
import { replicationRight } from './checks/replication-right.ts';
import { rowKeys } from './checks/row-keys.ts';
import { rowSecurity } from './checks/row-security.ts';
import { sameDatabase } from './checks/same-database.ts';
import { schemaObjects } from './checks/schema-objects.ts';
import { sessionReplicationRole } from './checks/session-replication-role.ts';
import { slots } from './checks/slots.ts';
import { slotWalLimit } from './checks/slot-wal-limit.ts';
import { sourceRead } from './checks/source-read.ts';
import { startPosition } from './checks/start-position.ts';
import { targetIndexes } from './checks/target-indexes.ts';
import { targetRights } from './checks/target-rights.ts';
import { targetTables } from './checks/target-tables.ts';
import { transactionsOlderThan } from './checks/long-transactions.ts';
import { unloggedTables } from './checks/unlogged-tables.ts';
import { versions } from './checks/versions.ts';
import { walLevel } from './checks/wal-level.ts';

/** Shorter transactions end before anybody has read the report. */
const LONG_TRANSACTION_SECONDS = 60;

/** As long as the WAL budget lets the slot wait. */
const ONE_PIECE_SECONDS = 15 * 60;

export const ALL_CHECKS: readonly Check[] = [
  sameDatabase,
  oneServer,
  direction,
  versions,
  walLevel,
  slots,
  replicationRight,
  sourceRead,
  rowSecurity,
  publicationRight,
  startPosition,
  namedPublication,
  targetRights,
  targetTables,
  schemaObjects,
  changedTables,
  ownersAndRights,
  targetIndexes,
  rowKeys,
  filters,
  unloggedTables,
  transactionsOlderThan(LONG_TRANSACTION_SECONDS),
  extensions,
  encoding,
  collation,
  sessionReplicationRole,
  connections,
  slotWalLimit,
  onePiecesOver(ONE_PIECE_SECONDS),
  failover,
  heartbeat,
  ddlCapture,
  partitionedTables,
  largeObjects,
  foreignTables,
];

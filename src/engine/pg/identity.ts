/** Which database is this: the facts that tell two servers, and two databases of one server, apart. */
import type { Session } from './session.ts';

export interface DatabaseIdentity {
  /** Survives restarts and is shared by a primary and its standbys. */
  readonly systemIdentifier: string;
  readonly database: string;
  readonly databaseOid: string;
  /** When this server process started: tells a storage clone from its original. */
  readonly startedAt: string;
  readonly isStandby: boolean;
  readonly versionText: string;
}

export async function identify(session: Session): Promise<DatabaseIdentity> {
  const row = await session.one(
    `SELECT s.system_identifier::text AS system_identifier, pg_catalog.current_database() AS database,
            (SELECT d.oid::text FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) AS oid,
            pg_catalog.pg_postmaster_start_time()::text AS started, pg_catalog.pg_is_in_recovery()::text AS standby,
            pg_catalog.current_setting('server_version') AS version
       FROM pg_catalog.pg_control_system() s`,
  );
  return {
    systemIdentifier: row.system_identifier ?? '',
    database: row.database ?? '',
    databaseOid: row.oid ?? '',
    startedAt: row.started ?? '',
    isStandby: row.standby === 'true',
    versionText: row.version ?? '',
  };
}

/**
 * One database, or a standby of it: the same system identifier and the same database, in one running server or streaming from one
 * another. A clone that has started on its own is another database.
 */
export function isSameDatabase(a: DatabaseIdentity, b: DatabaseIdentity): boolean {
  if (
    a.systemIdentifier !== b.systemIdentifier ||
    a.databaseOid !== b.databaseOid ||
    a.database !== b.database
  )
    return false;
  return a.startedAt === b.startedAt || a.isStandby || b.isStandby;
}

/**
 * Asks every backend of a task on this server, or in this database only, to end (I7), our own session apart. Returns how many were asked;
 * rights that are missing are not an error.
 */
export async function endBackends(
  session: Session,
  applicationPrefix: string,
  where: 'server' | 'database' = 'server',
): Promise<number> {
  const rows = await session.query(
    `SELECT pg_catalog.pg_terminate_backend(pid) AS ended FROM pg_catalog.pg_stat_activity
      WHERE pg_catalog.left(application_name, pg_catalog.length($1)) = $1 AND pid <> pg_catalog.pg_backend_pid()
        AND ($2 = 'server' OR datname = pg_catalog.current_database())
        AND (usename = current_user OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user))`,
    [applicationPrefix, where],
  );
  return rows.length;
}

/** A connection becomes another. */
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import {
  CONNECTION_COLUMNS,
  connectionRow,
  type ConnectionFields,
  type StoredConnection,
  type StoredSecret,
} from './connection-row.ts';

export interface ConnectionChange extends ConnectionFields {
  readonly id: string;
  readonly version: number;
  /** Null leaves it as it is. */
  readonly secret: StoredSecret | null;
}

/** Null when somebody has changed it since that version. */
export async function updateConnection(db: Db, change: ConnectionChange): Promise<StoredConnection | null> {
  const { secret } = change;
  const rows = await db.query(
    connectionRow,
    `UPDATE opendts.connection c
        SET name = $3, kind = $4, conninfo = $5, instance_id = $6, region = $7, access_method = $8, max_connections = $13::int,
            secret_kind = CASE WHEN $9::text IS NULL THEN c.secret_kind ELSE $9 END,
            sealed_key_id = CASE WHEN $9::text IS NULL THEN c.sealed_key_id ELSE $10 END,
            sealed = CASE WHEN $9::text IS NULL THEN c.sealed ELSE $11 END,
            secret_reference = CASE WHEN $9::text IS NULL THEN c.secret_reference ELSE $12 END,
            version = c.version + 1, updated_at = now()
      WHERE c.id = $1 AND c.version = $2
      RETURNING ${CONNECTION_COLUMNS}`,
    [
      change.id,
      String(change.version),
      change.name,
      change.kind,
      change.conninfo,
      change.instanceId,
      change.region,
      change.accessMethod,
      secret?.kind ?? null,
      secret?.keyId ?? null,
      secret?.sealed ?? null,
      secret?.reference ?? null,
      change.maxConnections === null ? null : String(change.maxConnections),
    ],
  );
  return only(rows);
}

/** A new connection. */
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import {
  CONNECTION_COLUMNS,
  connectionRow,
  type ConnectionFields,
  type StoredConnection,
  type StoredSecret,
} from './connection-row.ts';

export interface NewConnection extends ConnectionFields {
  readonly id: string;
  readonly groupId: string;
  readonly secret: StoredSecret;
}

/** Null when the group has one of that name. */
export async function insertConnection(db: Db, connection: NewConnection): Promise<StoredConnection | null> {
  const { secret } = connection;
  const rows = await db.query(
    connectionRow,
    `INSERT INTO opendts.connection AS c (id, group_id, name, kind, conninfo, instance_id, region, access_method,
                                          secret_kind, sealed_key_id, sealed, secret_reference, max_connections)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING
     RETURNING ${CONNECTION_COLUMNS}`,
    [
      connection.id,
      connection.groupId,
      connection.name,
      connection.kind,
      connection.conninfo,
      connection.instanceId,
      connection.region,
      connection.accessMethod,
      secret.kind,
      secret.keyId,
      secret.sealed,
      secret.reference,
      connection.maxConnections === null ? null : String(connection.maxConnections),
    ],
  );
  return only(rows);
}

/** A connection is forgotten, with its secret. */
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import { CONNECTION_COLUMNS, connectionRow, type StoredConnection } from './connection-row.ts';

/** Null when somebody has changed it since that version. */
export async function deleteConnection(
  db: Db,
  id: string,
  version: number,
): Promise<StoredConnection | null> {
  const rows = await db.query(
    connectionRow,
    `DELETE FROM opendts.connection c WHERE c.id = $1 AND c.version = $2 RETURNING ${CONNECTION_COLUMNS}`,
    [id, String(version)],
  );
  return only(rows);
}

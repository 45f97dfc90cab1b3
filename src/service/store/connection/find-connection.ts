/** A connection of a group by its id or name. */
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import { CONNECTION_COLUMNS, connectionRow, type StoredConnection } from './connection-row.ts';

/** One of another group is not found. */
export async function findConnection(
  db: Db,
  groupId: string,
  idOrName: string,
): Promise<StoredConnection | null> {
  const rows = await db.query(
    connectionRow,
    `SELECT ${CONNECTION_COLUMNS} FROM opendts.connection c WHERE c.group_id = $1 AND (c.id::text = $2 OR c.name = $2)`,
    [groupId, idOrName],
  );
  return only(rows);
}

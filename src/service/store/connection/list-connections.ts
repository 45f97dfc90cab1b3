/** The connections of a group by name, page by page. */
import type { Db } from '../store.ts';
import type { Page } from '../page.ts';
import { CONNECTION_COLUMNS, connectionRow, type StoredConnection } from './connection-row.ts';

export async function listConnections(
  db: Db,
  groupId: string,
  { after, limit }: Page,
): Promise<StoredConnection[]> {
  return db.query(
    connectionRow,
    `SELECT ${CONNECTION_COLUMNS} FROM opendts.connection c
      WHERE c.group_id = $1 AND ($2::text IS NULL OR c.name > $2) ORDER BY c.name LIMIT $3`,
    [groupId, after, String(limit)],
  );
}

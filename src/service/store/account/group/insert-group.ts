/** A new resource group. */
import { only } from '../../columns.ts';
import type { Db } from '../../store.ts';
import { GROUP_COLUMNS, groupRow, type Group } from './group-row.ts';

/** Null when the name is taken. */
export async function insertGroup(db: Db, id: string, name: string): Promise<Group | null> {
  const rows = await db.query(
    groupRow,
    `INSERT INTO opendts.resource_group AS g (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING ${GROUP_COLUMNS}`,
    [id, name],
  );
  return only(rows);
}

/** A resource group by its id or name. */
import { only } from '../../columns.ts';
import type { Db } from '../../store.ts';
import { GROUP_COLUMNS, groupRow, type Group } from './group-row.ts';

export async function findGroup(db: Db, idOrName: string): Promise<Group | null> {
  const rows = await db.query(
    groupRow,
    `SELECT ${GROUP_COLUMNS} FROM opendts.resource_group g WHERE g.id::text = $1 OR g.name = $1`,
    [idOrName],
  );
  return only(rows);
}

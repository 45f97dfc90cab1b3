/** Resource groups by name, page by page. */
import type { Db } from '../../store.ts';
import type { Page } from '../../page.ts';
import { GROUP_COLUMNS, groupRow, type Group } from './group-row.ts';

/** Of one account; of all where `accountId` is null. */
export async function listGroups(db: Db, accountId: string | null, { after, limit }: Page): Promise<Group[]> {
  return db.query(
    groupRow,
    `SELECT ${GROUP_COLUMNS} FROM opendts.resource_group g
      WHERE ($1::uuid IS NULL OR EXISTS (SELECT FROM opendts.membership m WHERE m.group_id = g.id AND m.account_id = $1::uuid))
        AND ($2::text IS NULL OR g.name > $2)
      ORDER BY g.name LIMIT $3`,
    [accountId, after, String(limit)],
  );
}

/** The members of a group by name, page by page. */
import type { Db } from '../../store.ts';
import type { Page } from '../../page.ts';
import { memberRow, type Member } from './member-row.ts';

export async function listMembers(db: Db, groupId: string, { after, limit }: Page): Promise<Member[]> {
  return db.query(
    memberRow,
    `SELECT m.account_id, a.name AS account_name, m.role, m.rights
       FROM opendts.membership m JOIN opendts.account a ON a.id = m.account_id
      WHERE m.group_id = $1 AND ($2::text IS NULL OR a.name > $2)
      ORDER BY a.name LIMIT $3`,
    [groupId, after, String(limit)],
  );
}

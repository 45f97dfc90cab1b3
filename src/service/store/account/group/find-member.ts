/** What an account is in a group. */
import { only } from '../../columns.ts';
import type { Db } from '../../store.ts';
import { memberRow, type Member } from './member-row.ts';

export async function findMember(db: Db, groupId: string, accountId: string): Promise<Member | null> {
  const rows = await db.query(
    memberRow,
    `SELECT m.account_id, a.name AS account_name, m.role, m.rights
       FROM opendts.membership m JOIN opendts.account a ON a.id = m.account_id
      WHERE m.group_id = $1 AND m.account_id = $2`,
    [groupId, accountId],
  );
  return only(rows);
}

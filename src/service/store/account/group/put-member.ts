/** Somebody joins a group, or gets another role in it. */
import { z } from 'zod';
import type { ConnectionRight, Role } from '../../../../contract/api/roles.ts';
import type { Db } from '../../store.ts';

export interface Membership {
  readonly groupId: string;
  readonly accountId: string;
  readonly role: Role;
  readonly rights: readonly ConnectionRight[];
}

export async function putMember(db: Db, { groupId, accountId, role, rights }: Membership): Promise<void> {
  await db.query(
    z.unknown(),
    `INSERT INTO opendts.membership (group_id, account_id, role, rights) VALUES ($1, $2, $3, $4::jsonb)
     ON CONFLICT (group_id, account_id) DO UPDATE SET role = EXCLUDED.role, rights = EXCLUDED.rights`,
    [groupId, accountId, role, JSON.stringify(rights)],
  );
}

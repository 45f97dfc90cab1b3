/** What those who once showed a session or token are by now, in the groups where they were let in; looking does not make a session last. */
import { z } from 'zod';
import { CONNECTION_RIGHTS, ROLES } from '../../../contract/api/roles.ts';
import { bool, int, json } from '../columns.ts';
import type { Db } from '../store.ts';

export interface Shown {
  readonly kind: 'session' | 'token';
  readonly hash: string;
  readonly groupId: string;
}

const standingRow = z
  .object({
    place: int,
    is_administrator: bool,
    must_change_password: bool,
    role: z.enum(ROLES).nullable(),
    rights: json(z.array(z.enum(CONNECTION_RIGHTS))).nullable(),
  })
  .transform((row) => ({
    place: row.place,
    isAdministrator: row.is_administrator,
    mustChangePassword: row.must_change_password,
    membership: row.role === null ? null : { role: row.role, rights: row.rights ?? [] },
  }));
export type FoundStanding = z.infer<typeof standingRow>;

/** By their place in what was asked; who is let in nowhere any more is missing. */
export async function findStandings(db: Db, shown: readonly Shown[]): Promise<FoundStanding[]> {
  const asked = shown.map(({ kind, hash, groupId }, place) => ({ place, kind, hash, group_id: groupId }));
  return db.query(
    standingRow,
    `SELECT w.place, a.is_administrator, a.must_change_password, m.role, m.rights
       FROM jsonb_to_recordset($1::jsonb) AS w(place integer, kind text, hash text, group_id uuid)
       LEFT JOIN opendts.login_session s ON w.kind = 'session' AND s.token_hash = w.hash AND s.expires_at > now()
       LEFT JOIN opendts.api_token t
              ON w.kind = 'token' AND t.token_hash = w.hash AND t.expires_at > now() AND t.revoked_at IS NULL
       JOIN opendts.account a ON a.id = COALESCE(s.account_id, t.account_id) AND NOT a.is_disabled
       LEFT JOIN opendts.membership m ON m.group_id = w.group_id AND m.account_id = a.id`,
    [JSON.stringify(asked)],
  );
}

/** A member of a group as the store has it. */
import { z } from 'zod';
import { CONNECTION_RIGHTS, ROLES } from '../../../../contract/api/roles.ts';
import { json } from '../../columns.ts';

export const memberRow = z
  .object({
    account_id: z.string(),
    account_name: z.string(),
    role: z.enum(ROLES),
    rights: json(z.array(z.enum(CONNECTION_RIGHTS))),
  })
  .transform((row) => ({
    accountId: row.account_id,
    account: row.account_name,
    role: row.role,
    rights: row.rights,
  }));
export type Member = z.infer<typeof memberRow>;

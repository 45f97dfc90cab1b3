/** An account as the store has it. */
import { z } from 'zod';
import { bool, int, time } from '../columns.ts';

/** Without the password hash, which only the login reads. */
export const ACCOUNT_COLUMNS =
  'a.id, a.name, a.must_change_password, a.is_administrator, a.is_disabled, a.version, a.created_at';

export const accountRow = z
  .object({
    id: z.string(),
    name: z.string(),
    must_change_password: bool,
    is_administrator: bool,
    is_disabled: bool,
    version: int,
    created_at: time,
  })
  .transform((row) => ({
    id: row.id,
    name: row.name,
    mustChangePassword: row.must_change_password,
    isAdministrator: row.is_administrator,
    isDisabled: row.is_disabled,
    version: row.version,
    createdAt: row.created_at,
  }));
export type Account = z.infer<typeof accountRow>;

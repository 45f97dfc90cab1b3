/** An API token as the store has it; never the token. */
import { z } from 'zod';
import { time } from '../../columns.ts';

export const TOKEN_COLUMNS = 't.id, t.name, t.prefix, t.created_at, t.expires_at, t.revoked_at';

export const tokenRow = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string(),
    created_at: time,
    expires_at: time,
    revoked_at: time.nullable(),
  })
  .transform((row) => ({
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  }));
export type ApiToken = z.infer<typeof tokenRow>;

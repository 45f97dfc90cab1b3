/** No token of an account is valid any more. */
import { z } from 'zod';
import type { Db } from '../../store.ts';

export async function revokeTokensOf(db: Db, accountId: string): Promise<void> {
  await db.query(
    z.unknown(),
    'UPDATE opendts.api_token SET revoked_at = now() WHERE account_id = $1 AND revoked_at IS NULL',
    [accountId],
  );
}

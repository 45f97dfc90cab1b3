/** What a request with a key has answered. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function keepResponse(db: Db, accountId: string, key: string, response: unknown): Promise<void> {
  await db.query(
    z.unknown(),
    'UPDATE opendts.idempotency SET response = $3::jsonb WHERE account_id = $1 AND key = $2',
    [accountId, key, JSON.stringify(response)],
  );
}

/** A key for a request that must not be carried out twice. */
import { z } from 'zod';
import { json, only } from '../columns.ts';
import type { Db } from '../store.ts';

export interface Request {
  readonly accountId: string;
  readonly key: string;
  readonly operation: string;
  readonly digest: string;
}

const kept = z.object({
  operation: z.string(),
  request_digest: z.string(),
  response: json(z.unknown()).nullable(),
});

/** Null for a new key, which is ours now; else what came of it. Waits for another request with the same key to end. */
export async function claimKey(
  db: Db,
  request: Request,
): Promise<{ operation: string; digest: string; response: unknown } | null> {
  const claimed = await db.query(
    z.unknown(),
    `INSERT INTO opendts.idempotency (account_id, key, operation, request_digest) VALUES ($1, $2, $3, $4)
     ON CONFLICT DO NOTHING RETURNING key`,
    [request.accountId, request.key, request.operation, request.digest],
  );
  if (claimed.length > 0) return null;
  const before = only(
    await db.query(
      kept,
      'SELECT operation, request_digest, response FROM opendts.idempotency WHERE account_id = $1 AND key = $2',
      [request.accountId, request.key],
    ),
  );
  return before && { operation: before.operation, digest: before.request_digest, response: before.response };
}

/** Two that count the places of a connection do so one after the other. */
import { z } from 'zod';
import type { Db } from '../store.ts';

/**
 * In a transaction; in one order, so that nobody waits in a circle. Who is frozen now loses the locks before those that wait for them give
 * up (10 s, store.ts).
 */
export async function lockConnections(db: Db, ids: readonly string[]): Promise<void> {
  await db.query(
    z.unknown(),
    `SELECT pg_catalog.set_config('idle_in_transaction_session_timeout', '5s', true) FROM opendts.connection c
      WHERE c.id IN (SELECT one::uuid FROM pg_catalog.jsonb_array_elements_text($1::jsonb) one)
      ORDER BY c.id FOR UPDATE OF c`,
    [JSON.stringify(ids)],
  );
}

/** Two that count the places of a connection do so one after the other. */
import { z } from 'zod';
import type { Db } from '../store.ts';

/** In a transaction; in one order, so that nobody waits in a circle. */
export async function lockConnections(db: Db, ids: readonly string[]): Promise<void> {
  await db.query(
    z.unknown(),
    `SELECT FROM opendts.connection c
      WHERE c.id IN (SELECT one::uuid FROM pg_catalog.jsonb_array_elements_text($1::jsonb) one)
      ORDER BY c.id FOR UPDATE OF c`,
    [JSON.stringify(ids)],
  );
}

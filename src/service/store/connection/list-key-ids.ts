/** The keys that secrets are sealed with. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function listKeyIds(db: Db): Promise<string[]> {
  const rows = await db.query(
    z.object({ id: z.string() }),
    'SELECT DISTINCT c.sealed_key_id AS id FROM opendts.connection c WHERE c.sealed_key_id IS NOT NULL',
  );
  return rows.map(({ id }) => id);
}

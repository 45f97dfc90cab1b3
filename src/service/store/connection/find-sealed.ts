/** The sealed secret of a connection. */
import { z } from 'zod';
import { only } from '../columns.ts';
import type { Db } from '../store.ts';

export async function findSealed(db: Db, connectionId: string): Promise<Sealed | null> {
  const rows = await db.query(
    sealedRow,
    `SELECT c.id, c.sealed_key_id AS "keyId", c.sealed FROM opendts.connection c WHERE c.id = $1 AND c.sealed IS NOT NULL`,
    [connectionId],
  );
  return only(rows);
}

export const sealedRow = z.object({ id: z.string(), keyId: z.string(), sealed: z.string() });
export type Sealed = z.infer<typeof sealedRow>;

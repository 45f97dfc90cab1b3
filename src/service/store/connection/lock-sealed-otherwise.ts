/** Secrets that are sealed with another key than this, some at a time, locked. */
import type { Db } from '../store.ts';
import { sealedRow, type Sealed } from './find-sealed.ts';

export async function lockSealedOtherwise(db: Db, keyId: string, limit: number): Promise<Sealed[]> {
  return db.query(
    sealedRow,
    `SELECT c.id, c.sealed_key_id AS "keyId", c.sealed FROM opendts.connection c
      WHERE c.sealed_key_id <> $1 ORDER BY c.id LIMIT $2 FOR UPDATE`,
    [keyId, String(limit)],
  );
}

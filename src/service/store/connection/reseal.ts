/** The same secret under another key; the connection stays the same version. */
import { z } from 'zod';
import type { Db } from '../store.ts';
import type { Sealed } from './find-sealed.ts';

export async function reseal(db: Db, { id, keyId, sealed }: Sealed): Promise<void> {
  await db.query(z.unknown(), 'UPDATE opendts.connection SET sealed_key_id = $2, sealed = $3 WHERE id = $1', [
    id,
    keyId,
    sealed,
  ]);
}

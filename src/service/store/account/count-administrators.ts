/** How many accounts can administer the installation. */
import { z } from 'zod';
import type { Db } from '../store.ts';

/** Locks them against each other: two that step down at once must not leave nobody. */
export async function countAdministrators(db: Db): Promise<number> {
  const rows = await db.query(
    z.object({ id: z.string() }),
    'SELECT id FROM opendts.account WHERE is_administrator AND NOT is_disabled ORDER BY id FOR UPDATE',
  );
  return rows.length;
}

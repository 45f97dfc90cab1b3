/** Calls workers that may lend hands: there is a pass that can use some, or the one that they help has changed. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function callHelpers(db: Db): Promise<void> {
  await db.query(z.unknown(), "SELECT pg_catalog.pg_notify('opendts_copy', 'pass')");
}

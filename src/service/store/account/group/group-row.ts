/** A resource group as the store has it. */
import { z } from 'zod';
import { time } from '../../columns.ts';

export const GROUP_COLUMNS = 'g.id, g.name, g.created_at';

export const groupRow = z
  .object({ id: z.string(), name: z.string(), created_at: time })
  .transform((row) => ({ id: row.id, name: row.name, createdAt: row.created_at }));
export type Group = z.infer<typeof groupRow>;

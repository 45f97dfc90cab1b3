/** Fields that operations share. */
import { z } from 'zod';

/** What people call something. No control characters; nothing that would be taken for an id or a step of a path. */
export const name = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u, 'no control characters')
  .regex(/^\S(.*\S)?$/u, 'no blanks at the ends')
  .refine((text) => text !== '.' && text !== '..', 'not a name')
  .refine((text) => !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text), 'not an id')
  .describe('1 to 100 characters');

/** In a path: the id of something, or its name. */
export const idOrName = z.string().min(1).max(100);

export const id = z.uuid();
export const time = z.iso.datetime().describe('UTC');

/** From when to when times are asked for: what the store can compare, whatever the zone. */
const [FIRST, LAST] = [Date.UTC(1970, 0), Date.UTC(9999, 0)];

/** A time, or a day in UTC, that somebody asks for. */
export const moment = z
  .union([z.iso.datetime({ offset: true }), z.iso.date()])
  .refine((text) => Date.parse(text) >= FIRST && Date.parse(text) < LAST, 'between 1970 and 9998')
  .transform((text) => new Date(text).toISOString());

/** Grows with every change; a change names the version that it saw, and is refused when there is a newer one. */
export const version = z.coerce.number().int().positive().max(2_147_483_647);

/** Of a list: how many, and behind what. */
export const page = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(500).optional().describe('nextCursor of the page before'),
};

/** A page of a list. */
export function listOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}

export const password = z.string().min(12, 'at least 12 characters').max(200);

/** How columns are read: PostgreSQL's text in, what the program works with out. */
import { z } from 'zod';

/** An uncast boolean arrives as `t` or `f`. */
export const bool = z.enum(['t', 'f']).transform((text) => text === 't');
export const int = z
  .string()
  .regex(/^-?\d{1,10}$/)
  .transform(Number);
/** Sessions are in UTC and ISO: `2026-11-29 10:00:00.5+00`. */
export const time = z.string().transform((text) => text.replace(' ', 'T').replace(/\+00$/, 'Z'));

/** jsonb, checked by what it must hold. */
export function json<T>(schema: z.ZodType<T>) {
  return z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .pipe(schema);
}

/** The single row of a statement that may return one; null for none. */
export function only<T>(rows: readonly T[]): T | null {
  return rows[0] ?? null;
}

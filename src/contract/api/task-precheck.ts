/** What a precheck has found, as the store keeps it and the API shows it. Names, settings and pids; never values of rows. */
import { z } from 'zod';

const count = z.string().regex(/^\d+$/);
const seconds = z.tuple([z.number(), z.number()]).describe('At least and at most');
const end = z.object({ endpoint: z.string(), server: z.string(), databaseBytes: count });

export const taskPrecheck = z.object({
  result: z.enum(['passed', 'failed']),
  source: end,
  target: end,
  estimate: z.object({
    tables: z.int(),
    rows: count,
    relationBytes: count,
    textBytes: count,
    copySeconds: seconds,
    indexSeconds: seconds,
    walBytes: count,
  }),
  findings: z
    .array(
      z.object({
        check: z.string(),
        result: z.enum(['passed', 'alert', 'failed']),
        what: z.string(),
        evidence: z.string(),
        fix: z.string().nullable().describe('SQL or a command, ready to paste'),
      }),
    )
    .describe('Failed first, then alerts, then passed'),
  notMigrated: z.array(z.string()),
});
export type TaskPrecheck = z.infer<typeof taskPrecheck>;

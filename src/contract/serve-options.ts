/** The options of `opendts serve`, once: flag, environment variable and field of the YAML file are made from this. */
import { z } from 'zod';

const path = z.string().min(1);

export const serveOptions = z.strictObject({
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('address to listen on; nothing beyond this machine unless told'),
  port: z.int().min(0).max(65_535).default(8620).describe('port to listen on; 0: any that is free'),
  dataDir: path.optional().describe('folder of the embedded PostgreSQL and of the key for secrets'),
  databaseUrl: z
    .string()
    .min(1)
    .optional()
    .describe('PostgreSQL for our metadata, instead of the embedded one'),
  databaseUrlFile: path.optional().describe('file that holds the database URL'),
  key: z.string().min(1).optional().describe('key for secrets: 32 bytes as base64; older keys behind it'),
  keyFile: path
    .optional()
    .describe('file that holds the key for secrets; all nodes of one database need the same'),
  secretDir: path.optional().describe('folder of password files that connections may name'),
  certificateDir: path.optional().describe('folder of certificate files that connections may name'),
  allowNetwork: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'networks that connections may reach, 10.0.0.0/8,… (default: all but where clouds tell machines their keys)',
    ),
  trustedProxy: z
    .array(z.string().min(1))
    .default([])
    .describe('addresses of proxies whose X-Forwarded-For is believed'),
  secure: z
    .boolean()
    .default(false)
    .describe('reached over TLS only (by a proxy): cookies are for TLS alone'),
  logLevel: z
    .enum(['error', 'warn', 'info', 'debug'])
    .default('info')
    .describe('what is logged, as JSON lines on stderr'),
  metricsTokenFile: path
    .optional()
    .describe('file that holds a token for GET /metrics (default: only who administers opendts reads them)'),
  auditLog: path
    .optional()
    .describe('file that entries of the audit log are appended to as JSON lines; -: stdout'),
  auditRetentionDays: z
    .int()
    .min(400)
    .max(36_500)
    .optional()
    .describe('delete entries of the audit log that are older, at least 400 (default: nothing is deleted)'),
  drainSeconds: z
    .int()
    .min(0)
    .max(3600)
    .default(10)
    .describe('how long requests and tasks may take to come to a safe point after SIGTERM'),
  worker: z.boolean().default(true).describe('run tasks in this process too'),
  name: z.string().min(1).max(100).optional().describe('name of the worker (default: that of the machine)'),
  region: z.string().min(1).max(100).optional().describe('where the worker stands; shown'),
  cluster: z
    .string()
    .min(1)
    .max(100)
    .optional()
    .describe('run the tasks of this cluster alone (default: those of none)'),
  capacity: z.int().min(1).max(500).default(20).describe('how many tasks the worker runs at the same time'),
});
export type ServeOptions = z.infer<typeof serveOptions>;
export type ServeOption = keyof ServeOptions;

/** Not on a command line, which every user of the machine can read. */
export const SECRET_OPTIONS: ReadonlySet<ServeOption> = new Set(['databaseUrl', 'key']);

/** `OPENDTS_LOG_LEVEL`; the database has the name that everybody gives it. */
export function variableOf(option: ServeOption): string {
  const name = option.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
  return option.startsWith('databaseUrl') ? name : `OPENDTS_${name}`;
}

/** `--log-level` */
export function flagOf(option: ServeOption): string {
  return `--${option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

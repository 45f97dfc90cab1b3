/** Operations on saved connections. */
import { z } from 'zod';
import { id, idOrName, listOf, name, page, time, version } from './fields.ts';
import type { Operation } from './operation.ts';
import { TASK_STATES } from './task-states.ts';

const CONNECTION_KINDS = ['postgresql', 'greenplum', 'cloudberry', 'adbpg'] as const;

/** How the instance is reached, in the words of the cloud's console. */
const ACCESS_METHODS = ['public', 'instance', 'ecs', 'express-connect', 'cen', 'database-gateway'] as const;

export const connectionFields = {
  name,
  kind: z.enum(CONNECTION_KINDS),
  conninfo: z
    .string()
    .min(1)
    .max(4000)
    .describe('URI or keyword/value. A password in it is taken out and sealed'),
  password: z.string().min(1).max(1000).describe('Sealed, and never shown again'),
  passwordFile: z
    .string()
    .min(1)
    .max(1000)
    .describe('A file below the secret folder of the server, instead; named by who administers opendts'),
  passwordVariable: z
    .string()
    .regex(/^OPENDTS_PASSWORD_[A-Z0-9_]{1,100}$/, 'write OPENDTS_PASSWORD_…')
    .describe('An environment variable of the server, instead; named by who administers opendts'),
  instanceId: z.string().max(100).nullable(),
  region: z.string().max(100).nullable(),
  accessMethod: z.enum(ACCESS_METHODS).nullable(),
  maxConnections: z
    .int()
    .min(10)
    .max(10_000)
    .nullable()
    .describe('All tasks together open at most so many; null: as many as they want'),
};

const connection = z.object({
  id,
  name: z.string(),
  kind: z.enum(CONNECTION_KINDS),
  conninfo: z.string().describe('A URI without the password'),
  hosts: z.array(z.object({ host: z.string(), port: z.int() })),
  database: z.string(),
  user: z.string(),
  sslMode: z.string(),
  secret: z.enum(['none', 'sealed', 'file', 'env']).describe('Where its password is'),
  secretReference: z.string().nullable().describe('The file or variable'),
  instanceId: z.string().nullable(),
  region: z.string().nullable(),
  accessMethod: z.enum(ACCESS_METHODS).nullable(),
  maxConnections: z.int().nullable(),
  version,
  createdAt: time,
  updatedAt: time,
});

export const TEST_STEPS = ['dns', 'tcp', 'tls', 'login', 'version', 'rights', 'settings'] as const;

const testStep = z.object({
  step: z.enum(TEST_STEPS),
  result: z.enum(['passed', 'alert', 'failed', 'skipped']),
  milliseconds: z.int(),
  detail: z.string(),
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).nullable(),
});
export type TestStep = z.infer<typeof testStep>;

const place = { group: idOrName, connection: idOrName };

export const CONNECTION_OPERATIONS = {
  'connection.create': {
    summary: 'Save a connection',
    method: 'POST',
    path: '/groups/{group}/connections',
    access: 'connection.edit',
    input: z.strictObject({
      group: idOrName,
      ...connectionFields,
      kind: connectionFields.kind.default('postgresql'),
      password: connectionFields.password.optional(),
      passwordFile: connectionFields.passwordFile.optional(),
      passwordVariable: connectionFields.passwordVariable.optional(),
      instanceId: connectionFields.instanceId.default(null),
      region: connectionFields.region.default(null),
      accessMethod: connectionFields.accessMethod.default(null),
      maxConnections: connectionFields.maxConnections.default(null),
    }),
    output: connection,
    creates: 'repeatable',
  },
  'connection.list': {
    summary: 'List the connections of a group',
    method: 'GET',
    path: '/groups/{group}/connections',
    access: 'view',
    input: z.strictObject({ group: idOrName, ...page }),
    output: listOf(connection),
  },
  'connection.show': {
    summary: 'Show a connection, and which tasks use it',
    method: 'GET',
    path: '/groups/{group}/connections/{connection}',
    access: 'view',
    input: z.strictObject(place),
    output: connection.extend({
      usedBy: z
        .array(
          z.object({ id, name: z.string(), state: z.enum(TASK_STATES), as: z.enum(['source', 'target']) }),
        )
        .describe('Up to 100 tasks'),
    }),
  },
  'connection.update': {
    summary: 'Change a connection; another address or user needs the password again',
    method: 'PATCH',
    path: '/groups/{group}/connections/{connection}',
    access: 'connection.edit',
    input: z.strictObject({ ...place, version, ...z.object(connectionFields).partial().shape }),
    output: connection,
  },
  'connection.delete': {
    summary: 'Forget a connection and its password; not while a task uses it',
    method: 'DELETE',
    path: '/groups/{group}/connections/{connection}',
    access: 'connection.edit',
    input: z.strictObject({ ...place, version }),
    output: z.object({}),
  },
  'connection.test': {
    summary: 'Try a connection step by step: DNS, TCP, TLS, login, version, rights, settings',
    method: 'POST',
    path: '/groups/{group}/connections/{connection}/test',
    access: 'connection.use',
    input: z.strictObject(place),
    output: z.object({ passed: z.boolean(), steps: z.array(testStep) }),
  },
} as const satisfies Record<string, Operation>;

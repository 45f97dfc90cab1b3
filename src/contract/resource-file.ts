/** Files that `migrate` and `apply` read and `export` writes: kubectl-shaped, one document a task or connection. */
import { z } from 'zod';
import { connectionFields } from './api/connection-operations.ts';
import { retry, taskFields } from './api/task-fields.ts';
import { taskSpec } from './task-spec.ts';

const apiVersion = z.literal('opendts/v1');

/** `migrate` looks at the spec alone, and not at its retry: it tries again by itself as long as it takes. */
export const taskFile = z.strictObject({
  apiVersion,
  kind: z.literal('Task'),
  metadata: z
    .strictObject({ name: z.string().min(1).optional(), ...z.object(taskFields).partial().shape })
    .optional(),
  spec: taskSpec.partial().extend({
    retry: z.strictObject(retry).optional().describe('How long a task of a server is tried again'),
  }),
});
export type TaskFile = z.infer<typeof taskFile>;

/** A saved connection of a server. */
export const connectionFile = z.strictObject({
  apiVersion,
  kind: z.literal('Connection'),
  metadata: z.strictObject({ name: connectionFields.name }),
  spec: z.strictObject({
    kind: connectionFields.kind.default('postgresql'),
    conninfo: connectionFields.conninfo,
    password: connectionFields.password.optional(),
    passwordFile: connectionFields.passwordFile.optional(),
    passwordVariable: connectionFields.passwordVariable.optional(),
    instanceId: connectionFields.instanceId.default(null),
    region: connectionFields.region.default(null),
    accessMethod: connectionFields.accessMethod.default(null),
    maxConnections: connectionFields.maxConnections.default(null),
  }),
});
export type ConnectionFile = z.infer<typeof connectionFile>;

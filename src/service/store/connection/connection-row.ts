/** A saved endpoint as the store has it. */
import { z } from 'zod';
import { int, time } from '../columns.ts';

/** Without the sealed secret, which only find-secret.ts reads. */
export const CONNECTION_COLUMNS = `c.id, c.group_id, c.name, c.kind, c.conninfo, c.instance_id, c.region, c.access_method, c.max_connections,
  c.secret_kind, c.secret_reference, c.version, c.created_at, c.updated_at`;

const SECRET_KINDS = ['none', 'sealed', 'file', 'env'] as const;

export const connectionRow = z
  .object({
    id: z.string(),
    group_id: z.string(),
    name: z.string(),
    kind: z.string(),
    conninfo: z.string(),
    instance_id: z.string().nullable(),
    region: z.string().nullable(),
    access_method: z.string().nullable(),
    max_connections: int.nullable(),
    secret_kind: z.enum(SECRET_KINDS),
    secret_reference: z.string().nullable(),
    version: int,
    created_at: time,
    updated_at: time,
  })
  .transform((row) => ({
    id: row.id,
    groupId: row.group_id,
    name: row.name,
    kind: row.kind,
    conninfo: row.conninfo,
    instanceId: row.instance_id,
    region: row.region,
    accessMethod: row.access_method,
    maxConnections: row.max_connections,
    secretKind: row.secret_kind,
    secretReference: row.secret_reference,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }));
export type StoredConnection = z.infer<typeof connectionRow>;

/** Where the password is, as it is written. */
export interface StoredSecret {
  readonly kind: StoredConnection['secretKind'];
  readonly keyId: string | null;
  readonly sealed: string | null;
  readonly reference: string | null;
}

/** What of a connection may change. */
export interface ConnectionFields {
  readonly name: string;
  readonly kind: string;
  readonly conninfo: string;
  readonly instanceId: string | null;
  readonly region: string | null;
  readonly accessMethod: string | null;
  readonly maxConnections: number | null;
}

/** What a migration is asked to do: the task file, the CLI's options and (later) the API carry these same fields. */
import { z } from 'zod';

export const MIGRATION_TYPES = ['schema', 'full', 'incremental'] as const;
export const migrationType = z.enum(MIGRATION_TYPES);
export type MigrationType = z.infer<typeof migrationType>;

/** `schema.table`, `schema.*`, or `table` (any schema); `*` and `?` are wildcards; `"…"` keeps dots and stars literal. */
const tablePattern = z.string().min(1);

const rate = z.number().positive();

/** Limits of the full copy, a second; none means as fast as the servers go. */
const copyThrottle = z.strictObject({
  queries: rate.optional().describe('Statements on the source'),
  rows: rate.optional().describe('Rows'),
  megabytes: rate.optional().describe('Megabytes (10^6 bytes)'),
});

/** Limits of applying changes, a second; none means as fast as it goes. */
const streamThrottle = z.strictObject({
  rows: rate.optional().describe('Changed rows'),
  megabytes: rate.optional().describe('Megabytes (10^6 bytes) of values'),
});

/** What the full copy may cost the source; none means whatever it takes. */
const copyProtection = z.strictObject({
  snapshotAge: z.int().positive().optional().describe('Transactions begun since the snapshot was taken'),
  retainedWal: rate.optional().describe('Gigabytes (10^9 bytes) of WAL kept for the slot'),
});

/** Beyond it changes are applied beside the full copy, which then goes on under fresh snapshots. */
const walBudget = z.strictObject({
  gigabytes: rate.optional().describe('Gigabytes (10^9 bytes) of WAL kept for the slot (default: 10)'),
  minutes: rate.optional().describe('Minutes since the copy began (default: 15)'),
});

/** Changes alone may begin at a slot that the user made, with what it still holds. */
const startPosition = z.strictObject({
  slot: z.string().min(1).describe('A logical replication slot of yours; it stays'),
  lsn: z
    .string()
    .regex(/^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/, 'write an LSN such as 16/B374D848')
    .optional()
    .describe('Begin with the first commit from this position of the log on'),
  time: z.iso
    .datetime({ offset: true, error: 'write a time with its zone, such as 2026-05-01T12:00:00Z' })
    .optional()
    .describe('Begin with the first commit that is not before this time'),
});

export const CONFLICT_MODES = ['report', 'ignore'] as const;
export const conflictMode = z.enum(CONFLICT_MODES);
export type ConflictMode = z.infer<typeof conflictMode>;

export const CAPITALIZATIONS = ['source', 'upper', 'lower'] as const;
const capitalization = z.enum(CAPITALIZATIONS);
export type Capitalization = z.infer<typeof capitalization>;

export const REPLICA_IDENTITY_POLICIES = ['needed', 'all', 'never'] as const;
const replicaIdentityPolicy = z.enum(REPLICA_IDENTITY_POLICIES);
export type ReplicaIdentityPolicy = z.infer<typeof replicaIdentityPolicy>;

export const OWNER_MODES = ['keep', 'account'] as const;
const ownerMode = z.enum(OWNER_MODES);
export type OwnerMode = z.infer<typeof ownerMode>;

export const GRANT_MODES = ['keep', 'none'] as const;
const grantMode = z.enum(GRANT_MODES);
export type GrantMode = z.infer<typeof grantMode>;

export const DDL_CAPTURES = ['auto', 'off'] as const;
const ddlCapture = z.enum(DDL_CAPTURES);
export type DdlCapture = z.infer<typeof ddlCapture>;

export const DDL_MODES = ['ask', 'apply'] as const;
const ddlMode = z.enum(DDL_MODES);
export type DdlMode = z.infer<typeof ddlMode>;

export const OPERATIONS = ['insert', 'update', 'delete', 'truncate'] as const;
export const operations = z.array(z.enum(OPERATIONS)).min(1);
export type Operation = (typeof OPERATIONS)[number];

/** What holds for some tables instead of what the task says; a later rule wins over an earlier one, field by field. */
const tableRule = z
  .strictObject({
    tables: tablePattern.describe('The tables it is about'),
    operations: operations.optional().describe('Changes that are followed'),
    filter: z
      .string()
      .min(1)
      .optional()
      .describe('Condition (SQL) that a row must meet; `true` for all rows'),
  })
  .refine(
    (rule) => rule.operations !== undefined || rule.filter !== undefined,
    'a rule needs operations or a filter',
  );
export type TableRule = z.infer<typeof tableRule>;

export const PARTITION_MODES = ['keep', 'plain'] as const;
const partitionMode = z.enum(PARTITION_MODES);
export type PartitionMode = z.infer<typeof partitionMode>;

export const DECODERS = ['auto', 'pgoutput', 'test_decoding'] as const;

export const taskSpec = z.strictObject({
  source: z.string().min(1).describe('Connection of the source: URI or keyword/value'),
  target: z.string().min(1).describe('Connection of the target: URI or keyword/value'),
  types: z
    .array(migrationType)
    .min(1)
    .default([...MIGRATION_TYPES])
    .describe('What to migrate'),
  tables: z.array(tablePattern).default([]).describe('Tables to migrate; none means all'),
  excludeTables: z.array(tablePattern).default([]).describe('Tables to leave out'),
  rename: z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe(
      'Names on the target that are not those of the source: `schema.table: schema.table`, `schema.*: schema.*`, `schema.table.column: column`',
    ),
  excludeColumns: z
    .array(z.string().min(1))
    .default([])
    .describe('Columns to leave out: `schema.table.column`, with wildcards'),
  columnTypes: z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe('Types on the target that are not those of the source: `schema.table.column: type`, as in SQL'),
  primaryKeys: z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe(
      'Primary keys on the target that are not those of the source: `schema.table: column, column`, by the names of the source',
    ),
  createExtensions: z
    .boolean()
    .default(false)
    .describe('Create extensions that the target lacks, where its server has them and the account may'),
  capitalization: capitalization
    .default('source')
    .describe(
      'Letters of the names of schemas, tables and columns that are not renamed: as in the `source`, `upper` or `lower`',
    ),
  partitions: partitionMode
    .default('keep')
    .describe(
      'Partitioned tables: `keep` makes them with their partitions, `plain` makes one plain table of each, with all its rows',
    ),
  operations: operations.default([...OPERATIONS]).describe('Changes that are followed'),
  rules: z.array(tableRule).default([]).describe('What holds for some tables: operations, filter'),
  conflict: conflictMode
    .default('report')
    .describe(
      'Rows already in the target: `report` refuses to start, `ignore` keeps them and copies the others',
    ),
  heartbeat: z
    .boolean()
    .default(true)
    .describe('Write a row into `public.dts_postgres_heartbeat` of the source every few seconds'),
  captureDdl: ddlCapture
    .default('auto')
    .describe(
      'DDL of the source: `auto` has event triggers note it where the account may, `off` only compares catalogs',
    ),
  ddl: ddlMode
    .default('ask')
    .describe(
      'A table whose columns are changed on the source while changes are followed: `ask` stops it, `apply` makes the same change on the target where that is safe, and repeats indexes',
    ),
  owners: ownerMode
    .optional()
    .describe(
      'Owners: `keep` those of the source, or everything belongs to the `account` of the migration; none: `keep` between PostgreSQL servers',
    ),
  grants: grantMode
    .optional()
    .describe(
      'Rights, default privileges, settings of database and roles: `keep` them or take `none`; none: `keep` between PostgreSQL servers',
    ),
  createRoles: z.boolean().default(false).describe('Create roles that the target lacks, without passwords'),
  replicaIdentity: replicaIdentityPolicy
    .default('needed')
    .describe(
      'REPLICA IDENTITY FULL on tables of the source until cleanup: where `needed`, on `all`, or `never`',
    ),
  publication: z
    .string()
    .min(1)
    .optional()
    .describe('Read changes through this publication of yours; none: one is made over the tables'),
  decoder: z
    .enum(DECODERS)
    .default('auto')
    .describe(
      'What decodes the changes on the source; auto: pgoutput where the account can have a publication, else test_decoding',
    ),
  start: startPosition
    .optional()
    .describe('Where to begin; without full migration. None: with what is written from now on'),
  strict: z.boolean().default(false).describe('A table that cannot be migrated stops the whole at once'),
  throttle: copyThrottle.default({}).describe('Limits of the full copy, per second'),
  streamThrottle: streamThrottle.default({}).describe('Limits of applying changes, per second'),
  protect: copyProtection.default({}).describe('The full copy ends where it costs the source more than this'),
  walBudget: walBudget
    .default({})
    .describe('What the full copy may make the slot keep before changes are applied beside it'),
  chunkMegabytes: rate
    .optional()
    .describe('Largest part of a table that is copied in one transaction, in megabytes (10^6 bytes)'),
  slotWait: z
    .int()
    .positive()
    .default(60)
    .describe('How long the creation of the replication slot may wait for open transactions, in seconds'),
  jobs: z.int().min(1).max(64).default(2).describe('Tables copied and indexes built at the same time'),
  lanes: z
    .int()
    .min(1)
    .max(64)
    .default(2)
    .describe(
      'Transactions that apply changes of different tables side by side where many wait; 1 keeps each source transaction whole on the target',
    ),
});

/** What a task of the service is asked to do: its ends are saved connections. */
export const taskSettings = taskSpec.omit({ source: true, target: true });
export type TaskSettings = z.infer<typeof taskSettings>;

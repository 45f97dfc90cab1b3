/** The options that name the two ends and the tables, the same for every command; flags come before the task file, that before the environment. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { AppError } from '../../../base/errors/app-error.ts';
import {
  CONFLICT_MODES,
  MIGRATION_TYPES,
  taskSpec,
  type ConflictMode,
  type MigrationType,
  type Operation,
  type PartitionMode,
  type TableRule,
} from '../../../contract/task-spec.ts';
import type { ConnInfo, Side } from '../../../engine/pg/conninfo/conninfo.ts';
import { parseConninfo } from '../../../engine/pg/conninfo/parse.ts';
import type { SourceLimits } from '../../../engine/source/source-limits.ts';
import type { CopyLimits } from '../../../engine/source/throttle.ts';
import {
  chunkBytes,
  copyLimits,
  protection,
  streamLimits,
} from '../../../service/task/request/request-of.ts';
import { readTaskFile, type TaskFileSpec } from '../../../service/task/request/task-file.ts';
import type { CliContext } from '../context.ts';
import type { WalBudget } from '../../../service/task/copy/wal-budget.ts';
import type { StreamLimits } from '../../../engine/pipeline/stream-throttle.ts';
import { parseCount, parseRate } from '../view/numbers.ts';
import { resolveMapping, type Mapping, type MappingFlags } from './mapping-options.ts';
import { resolveSchema, type SchemaChoice, type SchemaFlags } from './schema-options.ts';
import { resolveRights, type AskedRights, type RightsFlags } from './rights-options.ts';
import { resolvePartitions, type PartitionFlags } from './partition-options.ts';
import { resolveSlotWait, type SlotWaitFlags } from './slot-wait-option.ts';
import { resolveSource, type SourceChoice, type SourceFlags } from './source-options.ts';
import { resolveStart, type StartChoice, type StartFlags } from './start-options.ts';
import { resolveWalBudget, type WalBudgetFlags } from './wal-budget-options.ts';

/** As the parser delivers them. */
export interface TaskFlags
  extends
    WalBudgetFlags,
    SlotWaitFlags,
    StartFlags,
    SourceFlags,
    SchemaFlags,
    RightsFlags,
    PartitionFlags,
    MappingFlags {
  readonly source?: string;
  readonly target?: string;
  readonly task?: string;
  readonly types?: MigrationType[];
  readonly table?: string[];
  readonly excludeTable?: string[];
  readonly jobs?: number;
  readonly lanes?: number;
  readonly operations?: Operation[];
  readonly tableOperations?: TableRule[];
  readonly filter?: TableRule[];
  readonly conflict?: ConflictMode;
  readonly strict?: boolean;
  readonly json?: boolean;
  readonly maxQueries?: number;
  readonly maxRows?: number;
  readonly maxMegabytes?: number;
  readonly maxStreamRows?: number;
  readonly maxStreamMegabytes?: number;
  readonly maxSnapshotAge?: number;
  readonly maxRetainedWal?: number;
  readonly chunkMegabytes?: number;
}

export interface Ends {
  readonly source: ConnInfo;
  readonly target: ConnInfo;
}

/** What a command works on, connection strings read. */
export interface Task extends Ends, StartChoice, SourceChoice, SchemaChoice, AskedRights, Mapping {
  readonly types: ReadonlySet<MigrationType>;
  readonly tables: readonly string[];
  readonly excludeTables: readonly string[];
  readonly partitions: PartitionMode;
  readonly operations: readonly Operation[];
  readonly rules: readonly TableRule[];
  readonly conflict: ConflictMode;
  readonly strict: boolean;
  readonly jobs: number;
  readonly lanes: number;
  readonly limits: CopyLimits;
  readonly streamLimits: StreamLimits;
  readonly protect: SourceLimits;
  readonly chunkBytes?: bigint;
  readonly walBudget: WalBudget;
  readonly slotWaitMs: number;
}

export function withEnds(command: Command): Command {
  return command
    .option('--source <conninfo>', 'connection of the source: URI or keyword/value (OPENDTS_SOURCE_PGURI)')
    .option('--target <conninfo>', 'connection of the target: URI or keyword/value (OPENDTS_TARGET_PGURI)')
    .option('--task <file>', 'task file, YAML or JSON; options override it');
}

export function withTables(command: Command): Command {
  return command
    .option('--table <pattern...>', 'only these tables: schema.table, schema.*, table; * and ? are wildcards')
    .option('--exclude-table <pattern...>', 'not these tables');
}

export function withTypes(command: Command): Command {
  return command.option(
    '--types <list>',
    `what to migrate, of ${MIGRATION_TYPES.join(',')} (default: all)`,
    (text) => {
      const parsed = taskSpec.shape.types.safeParse(text.split(','));
      if (!parsed.success)
        throw new InvalidArgumentError(`Write one or more of ${MIGRATION_TYPES.join(',')}.`);
      return parsed.data;
    },
  );
}

export function withConflict(command: Command): Command {
  return command.addOption(
    new Option(
      '--conflict <mode>',
      'rows already in the target: report refuses to start, ignore keeps them',
    ).choices(CONFLICT_MODES),
  );
}

export function withLimits(command: Command): Command {
  return command
    .option('--max-megabytes <n>', 'full copy: at most so many megabytes a second', parseRate)
    .option('--max-rows <n>', 'full copy: at most so many rows a second', parseRate)
    .option('--max-queries <n>', 'full copy: at most so many statements a second on the source', parseRate)
    .option('--max-stream-rows <n>', 'changes: apply at most so many rows a second', parseRate)
    .option('--max-stream-megabytes <n>', 'changes: apply at most so many megabytes a second', parseRate);
}

export function withProtection(command: Command): Command {
  return command
    .option(
      '--max-snapshot-age <n>',
      'full copy: end it when its snapshot is older than so many transactions of the source',
      parseCount,
    )
    .option(
      '--max-retained-wal <gb>',
      'full copy: end it and drop the slot when the source keeps more than so many gigabytes of WAL for it',
      parseRate,
    );
}

export function withChunks(command: Command): Command {
  return command.option(
    '--chunk-megabytes <n>',
    'largest part of a table that is copied in one transaction (default: 32 to 256, by size and jobs)',
    parseRate,
  );
}

function resolveProtection(flags: TaskFlags, file: TaskFileSpec): SourceLimits {
  return protection({
    snapshotAge: flags.maxSnapshotAge ?? file.protect?.snapshotAge,
    retainedWal: flags.maxRetainedWal ?? file.protect?.retainedWal,
  });
}

/** Flags win over the task file, limit by limit. */
export function resolveLimits(flags: TaskFlags, file: TaskFileSpec): CopyLimits {
  return copyLimits({
    megabytes: flags.maxMegabytes ?? file.throttle?.megabytes,
    queries: flags.maxQueries ?? file.throttle?.queries,
    rows: flags.maxRows ?? file.throttle?.rows,
  });
}

function resolveStreamLimits(flags: TaskFlags, file: TaskFileSpec): StreamLimits {
  return streamLimits({
    megabytes: flags.maxStreamMegabytes ?? file.streamThrottle?.megabytes,
    rows: flags.maxStreamRows ?? file.streamThrottle?.rows,
  });
}

export function withJson(command: Command): Command {
  return command.option('--json', 'one JSON document on stdout');
}

/** Puts flags, task file and environment together. Throws USAGE, CONNINFO_INVALID, TASK_FILE_UNREADABLE or TASK_FILE_INVALID. */
export function resolveTask(flags: TaskFlags, context: CliContext): Task {
  const file = flags.task === undefined ? {} : readTaskFile(flags.task, context.config.env);
  const defaults = taskSpec
    .pick({
      types: true,
      tables: true,
      excludeTables: true,
      jobs: true,
      lanes: true,
      operations: true,
      rules: true,
      conflict: true,
      strict: true,
    })
    .parse({});
  const chunk = flags.chunkMegabytes ?? file.chunkMegabytes;
  const types = new Set(flags.types ?? file.types ?? defaults.types);
  return {
    ...resolveEnds(flags, file, context),
    types,
    ...resolveStart(flags, file, types),
    tables: flags.table ?? file.tables ?? defaults.tables,
    excludeTables: flags.excludeTable ?? file.excludeTables ?? defaults.excludeTables,
    ...resolveMapping(flags, file),
    partitions: resolvePartitions(flags, file),
    operations: flags.operations ?? file.operations ?? defaults.operations,
    // Later rules win, so that no filter of the file is lost where an option speaks of another table.
    rules: [...(file.rules ?? defaults.rules), ...(flags.tableOperations ?? []), ...(flags.filter ?? [])],
    conflict: flags.conflict ?? file.conflict ?? defaults.conflict,
    strict: flags.strict ?? file.strict ?? defaults.strict,
    ...resolveSource(flags, file),
    ...resolveSchema(flags, file),
    ...resolveRights(flags, file),
    jobs: flags.jobs ?? file.jobs ?? defaults.jobs,
    lanes: flags.lanes ?? file.lanes ?? defaults.lanes,
    limits: resolveLimits(flags, file),
    streamLimits: resolveStreamLimits(flags, file),
    protect: resolveProtection(flags, file),
    walBudget: resolveWalBudget(flags, file),
    slotWaitMs: resolveSlotWait(flags, file),
    ...(chunk === undefined ? {} : { chunkBytes: chunkBytes(chunk) }),
  };
}

function resolveEnds(flags: TaskFlags, file: TaskFileSpec, context: CliContext): Ends {
  const { sourceUri, targetUri } = context.config;
  return {
    source: resolveEnd('source', flags.source ?? file.source ?? sourceUri, context),
    target: resolveEnd('target', flags.target ?? file.target ?? targetUri, context),
  };
}

/** One connection string as a ConnInfo, with what libpq takes from the environment. Throws USAGE when there is none, or CONNINFO_INVALID. */
export function resolveEnd(side: Side, text: string | undefined, context: CliContext): ConnInfo {
  if (text === undefined || text.trim() === '') {
    throw new AppError('USAGE', {
      problem: `No ${side} is given.`,
      remedy: `Give --${side} postgresql://user@host:5432/database, set OPENDTS_${side.toUpperCase()}_PGURI, or name a task file with --task.`,
    });
  }
  const { env, home, osUser } = context.config;
  const warn = (warning: string) => void context.stderr.write(`opendts: ${side}: ${warning}\n`);
  return parseConninfo(text, side, { env, home, osUser, warn });
}

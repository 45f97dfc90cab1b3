/** What the stages of one running task share. Made by prepare-stage.ts; every stage takes it and nothing else. */
import type {
  Capitalization,
  ConflictMode,
  DdlCapture,
  DdlMode,
  GrantMode,
  MigrationType,
  Operation,
  OwnerMode,
  PartitionMode,
  ReplicaIdentityPolicy,
  TableRule,
} from '../../contract/task-spec.ts';
import type { MigrationEvent, Phase } from '../../contract/progress.ts';
import type { Failpoints } from '../../base/runtime/failpoint.ts';
import type { Lsn } from '../../engine/change/lsn.ts';
import { nameKey, type QualifiedName } from '../../engine/change/relation.ts';
import type { TableInfo } from '../../engine/pg/catalog/tables/tables.ts';
import type { ConnInfo } from '../../engine/pg/conninfo/conninfo.ts';
import type { StreamLimits, StreamThrottle } from '../../engine/pipeline/stream-throttle.ts';
import type { FirstModel } from '../../engine/schema/first-model.ts';
import {
  placesOf,
  sharedTargets,
  targetNames,
  type TargetNames,
} from '../../engine/selection/target-names.ts';
import type { CopyLimits, CopyThrottle } from '../../engine/source/throttle.ts';
import type { DecoderWish } from '../../engine/source/decoder-choice.ts';
import type { StartPosition } from '../../engine/source/start-position.ts';
import type { SourceLimits } from '../../engine/source/source-limits.ts';
import type { SourceNames } from '../../engine/source/source-names.ts';
import type { TaskRow } from '../../engine/target/books/task-row.ts';
import type { MoreHands } from './copy/more-hands.ts';
import type { WalBudget } from './copy/wal-budget.ts';
import type { Ends } from './ends.ts';
import type { FollowedOf } from './followed.ts';
import type { ProgressBook } from './progress-book.ts';

/** When to end: at a signal only; in step with the source; or at a position, which may become known later. */
export type Until = { kind: 'signal' } | { kind: 'caught-up' } | { kind: 'lsn'; lsn: Lsn | Promise<Lsn> };

/** What a service remembers of a task: the target may remember more, where our store was restored from an older day. */
export interface KnownTask {
  /** It has books on the target; null: not that we know. */
  readonly taskId: string | null;
  /** The marks that its last halt may have left there. */
  readonly halts: readonly string[];
}

export interface MigrationRequest {
  readonly source: ConnInfo;
  readonly target: ConnInfo;
  readonly types: ReadonlySet<MigrationType>;
  readonly tables: readonly string[];
  readonly excludeTables: readonly string[];
  /** What does not keep its name, as the user wrote it (renamings.ts). */
  readonly rename: Readonly<Record<string, string>>;
  readonly capitalization: Capitalization;
  /** Patterns of columns that are left out. */
  readonly excludeColumns: readonly string[];
  /** What else the user has changed of tables that are made (table-changes.ts). */
  readonly columnTypes?: Readonly<Record<string, string>>;
  readonly primaryKeys?: Readonly<Record<string, string>>;
  /** Extensions that the target lacks are created where the account may; false by default. */
  readonly createExtensions?: boolean;
  /** What becomes of partitioned tables; none: they are kept. */
  readonly partitions?: PartitionMode;
  /** Changes that are followed, where no rule says otherwise. */
  readonly operations: readonly Operation[];
  /** What holds for some tables; a later one wins. */
  readonly rules: readonly TableRule[];
  readonly conflict: ConflictMode;
  /** A table that cannot be migrated stops the whole at once, not at the end of its stage (C10). */
  readonly strict: boolean;
  /** What we may have in the source while the task lives; none: what the task file's defaults say. */
  readonly heartbeat?: boolean;
  readonly captureDdl?: DdlCapture;
  /** What becomes of a change of columns on the source; none: a person is asked. */
  readonly ddl?: DdlMode;
  readonly replicaIdentity?: ReplicaIdentityPolicy;
  /** What becomes of owners, rights and roles; none: what suits the two servers. */
  readonly owners?: OwnerMode;
  readonly grants?: GrantMode;
  readonly createRoles?: boolean;
  readonly jobs: number;
  /** Transactions of the stream that apply a large window side by side; 1: each source transaction stays whole. */
  readonly lanes: number;
  /** The largest part of a table that is copied in one transaction, in bytes; none: as fits the table. */
  readonly chunkBytes?: bigint;
  /** After so long without a byte from a server that owes one it is asked, on another connection, whether it is still there. */
  readonly silentMs?: number;
  /** How long the copy tries again where a server cannot be reached; by default as long as a restart may take. */
  readonly patienceMs?: number;
  /** The same of the stream, which holds nothing that would be lost; by default some minutes. */
  readonly streamPatienceMs?: number;
  /** How long the creation of the slot may wait for open transactions of the source; 60 s by default. */
  readonly slotWaitMs?: number;
  /** A publication that the user made; none: one of ours. */
  readonly publication?: string;
  /** What decodes the changes; none, or auto: pgoutput where the account can have a publication. */
  readonly decoder?: DecoderWish['wanted'];
  /** Where changes are followed from; none: from a slot of ours, that is from now on. */
  readonly start?: StartPosition;
  readonly until: Until;
  /** What is known of the task from before; none: whatever the target has of it counts. */
  readonly known?: KnownTask;
  /** Of the full copy; none: as fast as the servers go. */
  readonly limits?: CopyLimits;
  /** Of the stream; none: as fast as it goes. */
  readonly streamLimits?: StreamLimits;
  /** What the slot may keep before changes are applied beside the copy. */
  readonly walBudget?: WalBudget;
  /** What the full copy may cost the source; none: whatever it takes. */
  readonly protect?: SourceLimits;
}

export interface MigrationHooks {
  readonly signal: AbortSignal;
  onEvent(event: MigrationEvent): void;
  readonly failpoints: Failpoints;
  /** Awaited before anything is made on either side under an id that the request does not know: somebody has to know what to take back. */
  readonly onTask?: (taskId: string) => Promise<void>;
  /** Hands of other machines for the full copy; none: those here do it alone. */
  readonly moreHands?: MoreHands;
}

export interface TaskRun {
  readonly request: MigrationRequest;
  readonly hooks: MigrationHooks;
  readonly ends: Ends;
  readonly book: ProgressBook;
  readonly throttle: CopyThrottle;
  readonly streamThrottle: StreamThrottle;
  readonly names: SourceNames;
  readonly taskId: string;
  readonly fence: bigint;
  /** The task's row as it is now; replaced as phases pass. */
  task: TaskRow;
  /** What was selected when the task began, as far as it still exists; partitioned tables and their partitions too. */
  selected: readonly TableInfo[];
  /** Of these, the tables with rows of their own. */
  tables: readonly TableInfo[];
  /** Those whose changes can be followed. */
  followed: readonly TableInfo[];
  /** Tables, by oid, that came into the selection later and are left out; said once. */
  readonly notPickedUp: Set<number>;
  /** By nameKey: new names of followed tables that were told already. */
  readonly saidRenamed: Set<string>;
  /** How what the source calls something is called on the target. */
  mapping: TargetNames;
  /** The name a source table has on the target. */
  targetOf: (table: QualifiedName) => QualifiedName;
  /** What is followed of a table, and which of its rows are migrated. */
  followedOf: FollowedOf;
  /** Target tables, by nameKey, that several tables with rows go into. */
  shared: ReadonlySet<string>;
  /**
   * Partitions, by oid, whose rows do not stand with those of their table yet, although that is a plain one on the target; with a position
   * of the source from which on they certainly are partitions, null where none is known.
   */
  readonly apart: Map<number, Lsn | null>;
  /** By oid of a table that the migration has made: columns that were left out of it, under whatever names. */
  readonly leftOut: Map<number, ReadonlySet<string>>;
  readonly wholeDatabase: boolean;
  readonly warnings: string[];
  /** What of the source was warned of, and when it was last so. */
  readonly told: Map<string, number>;
  readonly notMigrated: string[];
  readonly firstModel: FirstModel;
  /** Whether the target account keeps foreign keys and triggers silent while we apply (I8). */
  readonly firesNothing: boolean;
}

/** The names of these tables on the target, as the request has it. `begun`: what is known of a task that has begun. */
export function mappingOf(
  request: Omit<MigrationRequest, 'until'>,
  selected: readonly TableInfo[],
  begun: Pick<TaskRun, 'apart' | 'leftOut'> | null,
): TargetNames {
  const isMade = request.types.has('schema');
  const known = begun === null ? {} : { apart: begun.apart, begun: { leftOut: begun.leftOut } };
  return targetNames(selected, request, placesOf(request.partitions ?? 'keep', { isMade, ...known }));
}

/** The names are made anew from what is selected, and from which partitions stand apart. */
export function nameTargets(run: TaskRun): void {
  const { selected, tables, request } = run;
  run.mapping = mappingOf(request, selected, run);
  run.targetOf = run.mapping.table;
  run.shared = sharedTargets(tables, run.targetOf);
}

/** Other tables go into the same target table. */
export function isTogether({ shared, targetOf }: TaskRun, table: QualifiedName): boolean {
  return shared.size > 0 && shared.has(nameKey(targetOf(table)));
}

/** Not only the schema. */
export function migratesData({ request: { types } }: Pick<TaskRun, 'request'>): boolean {
  return types.has('full') || types.has('incremental');
}

/** The same run, which ends by another signal. What changes of the run changes for both. */
export function withSignal(run: TaskRun, signal: AbortSignal): TaskRun {
  const hooks: MigrationHooks = { ...run.hooks, signal };
  return new Proxy(run, { get: (of, key) => (key === 'hooks' ? hooks : Reflect.get(of, key)) });
}

export function enter(run: TaskRun, phase: Phase, message: string): void {
  run.book.phase = phase;
  run.hooks.onEvent({ level: 'info', phase, message });
}

export function warn(run: TaskRun, message: string): void {
  run.warnings.push(message);
  run.hooks.onEvent({ level: 'warn', phase: run.book.phase, message });
}

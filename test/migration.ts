/** Runs migrations between test databases the way the CLI does, and compares the two ends. */
import { noFailpoints, type Failpoints } from '../src/base/runtime/failpoint.ts';
import type { MigrationEvent, MigrationSummary } from '../src/contract/progress.ts';
import {
  MIGRATION_TYPES,
  OPERATIONS,
  type MigrationType,
  type TableRule,
} from '../src/contract/task-spec.ts';
import type { ConnInfo } from '../src/engine/pg/conninfo/conninfo.ts';
import { nameKey } from '../src/engine/change/relation.ts';
import { readTables } from '../src/engine/pg/catalog/tables/tables.ts';
import { tableWishes } from '../src/engine/selection/table-wishes.ts';
import { targetNames, type PartitionPlaces } from '../src/engine/selection/target-names.ts';
import { usableFilters } from '../src/engine/source/row-filter.ts';
import { verifyTables, type TableVerdict } from '../src/engine/verify/verify.ts';
import type { MoreHands } from '../src/service/task/copy/more-hands.ts';
import { startMigration, type Migration } from '../src/service/task/migrate.ts';
import type { MigrationRequest } from '../src/service/task/task-run.ts';
import type { TestDatabase } from './database.ts';

export interface RunOptions {
  readonly types?: readonly MigrationType[];
  readonly until?: MigrationRequest['until'];
  readonly tables?: readonly string[];
  readonly excludeTables?: readonly string[];
  readonly jobs?: number;
  readonly lanes?: number;
  readonly rename?: MigrationRequest['rename'];
  readonly capitalization?: MigrationRequest['capitalization'];
  readonly excludeColumns?: readonly string[];
  readonly columnTypes?: Readonly<Record<string, string>>;
  readonly primaryKeys?: Readonly<Record<string, string>>;
  readonly partitions?: NonNullable<MigrationRequest['partitions']>;
  readonly operations?: MigrationRequest['operations'];
  readonly rules?: MigrationRequest['rules'];
  readonly conflict?: MigrationRequest['conflict'];
  readonly strict?: boolean;
  readonly publication?: string;
  readonly decoder?: MigrationRequest['decoder'];
  readonly start?: MigrationRequest['start'];
  readonly limits?: MigrationRequest['limits'];
  readonly streamLimits?: MigrationRequest['streamLimits'];
  readonly chunkBytes?: bigint;
  readonly walBudget?: MigrationRequest['walBudget'];
  readonly silentMs?: number;
  readonly patienceMs?: number;
  readonly slotWaitMs?: number;
  /** Instead of the databases' own, to reach them some other way. */
  readonly sourceInfo?: ConnInfo;
  readonly targetInfo?: ConnInfo;
  readonly protect?: MigrationRequest['protect'];
  readonly heartbeat?: boolean;
  readonly captureDdl?: NonNullable<MigrationRequest['captureDdl']>;
  readonly ddl?: NonNullable<MigrationRequest['ddl']>;
  readonly replicaIdentity?: NonNullable<MigrationRequest['replicaIdentity']>;
  readonly owners?: NonNullable<MigrationRequest['owners']>;
  readonly grants?: NonNullable<MigrationRequest['grants']>;
  readonly createRoles?: boolean;
  readonly signal?: AbortSignal;
  readonly failpoints?: Failpoints;
  readonly moreHands?: MoreHands;
  readonly events?: MigrationEvent[];
  readonly onEvent?: (event: MigrationEvent) => void;
}

/** Everything keeps its name. */
export const SAME_NAMES = targetNames(
  [],
  { rename: {}, capitalization: 'source', excludeColumns: [] },
  { partitions: 'keep' },
);

export function start(source: TestDatabase, target: TestDatabase, options: RunOptions = {}): Migration {
  const request: MigrationRequest = {
    source: options.sourceInfo ?? source.info,
    target: options.targetInfo ?? target.info,
    types: new Set(options.types ?? MIGRATION_TYPES),
    tables: options.tables ?? [],
    excludeTables: options.excludeTables ?? [],
    rename: options.rename ?? {},
    capitalization: options.capitalization ?? 'source',
    excludeColumns: options.excludeColumns ?? [],
    columnTypes: options.columnTypes ?? {},
    primaryKeys: options.primaryKeys ?? {},
    ...(options.partitions ? { partitions: options.partitions } : {}),
    operations: options.operations ?? OPERATIONS,
    rules: options.rules ?? [],
    conflict: options.conflict ?? 'report',
    strict: options.strict ?? false,
    ...(options.publication === undefined ? {} : { publication: options.publication }),
    ...(options.decoder ? { decoder: options.decoder } : {}),
    ...(options.start ? { start: options.start } : {}),
    ...(options.limits ? { limits: options.limits } : {}),
    ...(options.streamLimits ? { streamLimits: options.streamLimits } : {}),
    ...(options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs }),
    ...(options.slotWaitMs === undefined ? {} : { slotWaitMs: options.slotWaitMs }),
    ...(options.silentMs === undefined ? {} : { silentMs: options.silentMs }),
    ...(options.chunkBytes === undefined ? {} : { chunkBytes: options.chunkBytes }),
    ...(options.walBudget ? { walBudget: options.walBudget } : {}),
    ...(options.protect ? { protect: options.protect } : {}),
    heartbeat: options.heartbeat ?? true,
    captureDdl: options.captureDdl ?? 'auto',
    ddl: options.ddl ?? 'ask',
    replicaIdentity: options.replicaIdentity ?? 'needed',
    ...(options.owners ? { owners: options.owners } : {}),
    ...(options.grants ? { grants: options.grants } : {}),
    createRoles: options.createRoles ?? false,
    jobs: options.jobs ?? 2,
    lanes: options.lanes ?? 2,
    until: options.until ?? { kind: 'caught-up' },
  };
  return startMigration(request, {
    signal: options.signal ?? new AbortController().signal,
    onEvent: (event) => {
      options.events?.push(event);
      options.onEvent?.(event);
    },
    failpoints: options.failpoints ?? noFailpoints,
    ...(options.moreHands ? { moreHands: options.moreHands } : {}),
  });
}

export function migrate(
  source: TestDatabase,
  target: TestDatabase,
  options: RunOptions = {},
): Promise<MigrationSummary> {
  return start(source, target, options).finished;
}

interface Compared {
  readonly verdicts: TableVerdict[];
  readonly differing: TableVerdict[];
}

type Mapped = Pick<RunOptions, 'rename' | 'capitalization' | 'excludeColumns' | 'columnTypes'>;

/** The verdict on every table of the source, as far as its rows pass the filters; `differing` lists what is not identical. */
export function compare(
  source: TestDatabase,
  target: TestDatabase,
  rules: readonly TableRule[] = [],
  names: Mapped = {},
): Promise<Compared> {
  return compareNamed(source, target, rules, { ...names, partitions: 'together' });
}

/** The same where partitioned tables are plain ones on the target. */
export function comparePlain(
  source: TestDatabase,
  target: TestDatabase,
  rules: readonly TableRule[] = [],
): Promise<Compared> {
  return compareNamed(source, target, rules, { partitions: 'plain' });
}

async function compareNamed(
  source: TestDatabase,
  target: TestDatabase,
  rules: readonly TableRule[],
  {
    rename = {},
    capitalization = 'source',
    excludeColumns = [],
    columnTypes = {},
    partitions,
  }: Mapped & PartitionPlaces,
): Promise<Compared> {
  const there = new Map((await readTables(target.session)).map((table) => [nameKey(table), table]));
  const here = await readTables(source.session);
  await using session = await source.open();
  const filters = await usableFilters(session, here, tableWishes(here, { operations: OPERATIONS, rules }));
  const names = targetNames(here, { rename, capitalization, excludeColumns, columnTypes }, { partitions });
  const pairs = here.map((table) => ({
    source: table,
    target: there.get(nameKey(names.table(table))) ?? null,
    names,
    condition: filters.get(table.oid)?.condition,
  }));
  const verdicts = await verifyTables(pairs, {
    openSource: () => source.open(),
    openTarget: () => target.open(),
    jobs: 2,
    signal: new AbortController().signal,
    onVerdict: () => {},
  });
  return { verdicts, differing: verdicts.filter((verdict) => verdict.verdict !== 'identical') };
}

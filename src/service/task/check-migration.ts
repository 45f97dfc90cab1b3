/** Would a migration work, how long would it take, what would not move: both databases are looked at, and nothing is changed. */
import { MIGRATION_TYPES } from '../../contract/task-spec.ts';
import { readTables, type TableInfo } from '../../engine/pg/catalog/tables/tables.ts';
import { describeEndpoint, type Side } from '../../engine/pg/conninfo/conninfo.ts';
import type { Session } from '../../engine/pg/session.ts';
import type { Finding } from '../../engine/precheck/check.ts';
import { estimate, type Estimate } from '../../engine/precheck/estimate.ts';
import { runChecks } from '../../engine/precheck/run-checks.ts';
import { FirstModel } from '../../engine/schema/first-model.ts';
import { mapModel } from '../../engine/schema/map/map-model.ts';
import { withPlainPartitions } from '../../engine/schema/plain-partitions.ts';
import { judgeSchema } from '../../engine/schema/plan.ts';
import { readTargetFacts } from '../../engine/schema/read-target-facts.ts';
import { rightsChoice } from '../../engine/schema/rights/rights-choice.ts';
import { membership, selectTables } from '../../engine/selection/selection.ts';
import { tableWishes } from '../../engine/selection/table-wishes.ts';
import { readFilters } from '../../engine/source/row-filter.ts';
import { sourceOptions } from './source/source-objects.ts';
import { mappingOf, type MigrationRequest } from './task-run.ts';

type Asked = Omit<MigrationRequest, 'until'>;

export interface CheckedEnd {
  readonly endpoint: string;
  readonly server: string;
  readonly databaseBytes: bigint;
}

export interface CheckOutcome {
  readonly result: 'passed' | 'failed';
  readonly types: readonly string[];
  readonly source: CheckedEnd;
  readonly target: CheckedEnd;
  readonly estimate: Estimate;
  /** Failed first, then alerts, then passed. */
  readonly findings: readonly Finding[];
  readonly notMigrated: readonly string[];
}

const ORDER = ['failed', 'alert', 'passed'];

/** `open`: a session to one end. */
export async function checkMigration(
  request: Asked,
  open: (side: Side) => Promise<Session>,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  await using source = await open('source');
  await using target = await open('target');
  const selected = selectTables(await readTables(source), request.tables, request.excludeTables);
  const firstModel = new FirstModel();
  const ends = { source, target, selected, firstModel };
  const findings = await runRequestChecks(request, ends, signal);
  const { filters } = await readFilters(source, selected, tableWishes(selected, request));
  return {
    result: findings.some(({ result }) => result === 'failed') ? 'failed' : 'passed',
    types: MIGRATION_TYPES.filter((type) => request.types.has(type)),
    source: await describeEnd(source, describeEndpoint(request.source)),
    target: await describeEnd(target, describeEndpoint(request.target)),
    estimate: await estimate(source, selected, ({ oid }) => filters.get(oid)?.condition ?? null),
    findings: findings.toSorted((a, b) => ORDER.indexOf(a.result) - ORDER.indexOf(b.result)),
    notMigrated: request.types.has('schema') ? await notMigrated(request, ends) : [],
  };
}

export interface CheckedEnds {
  readonly source: Session;
  readonly target: Session;
  readonly selected: readonly TableInfo[];
  readonly firstModel: FirstModel;
}

/** Runs all checks for what was asked. */
export async function runRequestChecks(
  request: Asked,
  { source, target, selected, firstModel }: CheckedEnds,
  signal?: AbortSignal,
): Promise<Finding[]> {
  const context = {
    source,
    target,
    firstModel,
    sourceInfo: request.source,
    targetInfo: request.target,
    types: request.types,
    tables: selected,
    targetTables: await readTables(target),
    mapping: mappingOf(request, selected, null),
    partitions: request.partitions ?? 'keep',
    wishOf: tableWishes(selected, request),
    conflict: request.conflict,
    createExtensions: request.createExtensions ?? false,
    wholeDatabase: request.tables.length === 0,
    jobs: request.jobs,
    rights: rightsChoice(request),
    ...sourceOptions(request),
    ...(request.publication === undefined ? {} : { publication: request.publication }),
    ...(request.start ? { start: request.start } : {}),
    ...(request.decoder ? { decoder: request.decoder } : {}),
  };
  return runChecks(context, signal);
}

async function describeEnd(session: Session, endpoint: string): Promise<CheckedEnd> {
  return { endpoint, server: serverVersion(session.version), databaseBytes: await databaseSize(session) };
}

async function notMigrated(
  request: Asked,
  { source, target, selected, firstModel }: CheckedEnds,
): Promise<readonly string[]> {
  const mapping = mappingOf(request, selected, null);
  const scope = {
    includesTable: membership(selected.map((table) => mapping.table(table))),
    wholeDatabase: request.tables.length === 0 && request.excludeTables.length === 0,
    done: new Set<string>(),
    rights: rightsChoice(request),
  };
  const read = await firstModel.take(source);
  const made = request.partitions === 'plain' ? withPlainPartitions(read) : read;
  const model = await mapModel(made, mapping, source);
  return judgeSchema(model, scope, await readTargetFacts(target, model, request)).notMigrated;
}

/** `PostgreSQL 15.18` from server_version_num. */
export function serverVersion(version: number): string {
  const major = Math.floor(version / 10_000);
  return major >= 10
    ? `PostgreSQL ${major}.${version % 10_000}`
    : `PostgreSQL ${major}.${Math.floor((version % 10_000) / 100)}.${version % 100}`;
}

/** Bytes of the whole database, indexes and catalogs included. */
export async function databaseSize(session: Session): Promise<bigint> {
  const { bytes } = await session.one(
    'SELECT pg_catalog.pg_database_size(pg_catalog.current_database())::text AS bytes',
  );
  return BigInt(bytes ?? '0');
}

/** `opendts inspect`: what is in a database, as a migration sees it. Read-only. */
import { EXIT } from '../../base/errors/exit.ts';
import { displayName } from '../../engine/change/relation.ts';
import { describeEndpoint } from '../../engine/pg/conninfo/conninfo.ts';
import { readTables, type TableInfo } from '../../engine/pg/catalog/tables/tables.ts';
import type { Session } from '../../engine/pg/session.ts';
import { slotFate } from '../../engine/pg/slot/health.ts';
import { readHelpers } from '../../engine/source/helpers/remove.ts';
import type { CliCommand } from './context.ts';
import { document } from './view/json.ts';
import { count, many, size } from './view/quantities.ts';
import { databaseSize, serverVersion } from '../../service/task/check-migration.ts';
import { openSide } from './sides.ts';
import { resolveEnd, withJson } from './options/task-options.ts';
import { printable, table } from './view/text.ts';

interface Inspection {
  readonly endpoint: string;
  readonly server: string;
  readonly bytes: bigint;
  readonly tables: readonly InspectedTable[];
  /** Logical slots of this database; those named dts_sync_… are made by migrations of ours. */
  readonly slots: readonly {
    readonly name: string;
    readonly plugin: string;
    /** Changes from here on can be read. */
    readonly heldFrom: string;
    readonly active: boolean;
    readonly retainedBytes: bigint | null;
    /** `reserved`, `extended`, `unreserved` or `lost` (13+). */
    readonly walStatus: string | null;
    /** Why the server has given it up (16+). */
    readonly invalidation: string | null;
    /** Since when nobody reads it (17+). */
    readonly inactiveSince: string | null;
  }[];
  /** Made by migrations of ours. */
  readonly publications: readonly string[];
  /** Helper tables of ours and what belongs to them. */
  readonly helpers: readonly string[];
}

interface InspectedTable {
  readonly table: string;
  readonly kind: 'table' | 'partitioned table' | 'partition' | 'unlogged table';
  /** From statistics; null when never analyzed. */
  readonly rowsEstimate: bigint | null;
  readonly bytes: bigint;
  readonly replicaIdentity: string;
  readonly key: readonly string[];
}

export const inspectCommand: CliCommand = {
  define(program) {
    const command = program
      .command('inspect')
      .description('show what is in a database: version, size, tables, leftovers of migrations')
      .argument('[conninfo]', 'URI or keyword/value (OPENDTS_SOURCE_PGURI)');
    return withJson(command);
  },

  async run(command, context) {
    const info = resolveEnd('source', command.args[0] ?? context.config.sourceUri, context);
    await using session = await openSide({ source: info, target: info }, 'source', 'inspect', context.signal);
    const inspection = await inspect(session, describeEndpoint(info));
    context.stdout.write(
      command.opts<{ json?: boolean }>().json
        ? document({ kind: 'Inspection', data: inspection })
        : inspectionLines(inspection)
            .map((line) => `${line}\n`)
            .join(''),
    );
    return EXIT.ok;
  },
};

async function inspect(session: Session, endpoint: string): Promise<Inspection> {
  const tables = await readTables(session);
  const slots = await session.query(
    `SELECT s.slot_name AS name, s.plugin, s.confirmed_flush_lsn::pg_catalog.text AS held, s.active::pg_catalog.text AS active, ${slotFate(session.version)},
            CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL
                 ELSE pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn) END AS retained
       FROM pg_catalog.pg_replication_slots s
      WHERE s.database = pg_catalog.current_database()
      ORDER BY s.slot_name`,
  );
  const publications = await session.query(
    "SELECT p.pubname AS name FROM pg_catalog.pg_publication p WHERE p.pubname LIKE 'dts\\_%' ORDER BY p.pubname",
  );
  return {
    endpoint,
    server: serverVersion(session.version),
    bytes: await databaseSize(session),
    tables: tables.map(inspectedTable),
    slots: slots.map(
      ({ name, plugin, held, active, retained, wal_status, invalidation, inactive_since }) => ({
        name: name ?? '',
        plugin: plugin ?? '',
        heldFrom: held ?? '',
        active: active === 'true',
        retainedBytes: retained == null ? null : BigInt(retained),
        walStatus: wal_status ?? null,
        invalidation: invalidation ?? null,
        inactiveSince: inactive_since ?? null,
      }),
    ),
    publications: publications.map(({ name }) => name ?? ''),
    helpers: await readHelpers(session),
  };
}

function inspectedTable(info: TableInfo): InspectedTable {
  return {
    table: displayName(info),
    kind: kindOf(info),
    rowsEstimate: info.estimatedRows < 0 ? null : BigInt(Math.round(info.estimatedRows)),
    bytes: info.bytes,
    replicaIdentity: info.replicaIdentity,
    key: info.identityColumns,
  };
}

function kindOf({ kind, isPartition, persistence }: TableInfo): InspectedTable['kind'] {
  if (kind === 'p') return 'partitioned table';
  if (isPartition) return 'partition';
  return persistence === 'unlogged' ? 'unlogged table' : 'table';
}

function inspectionLines(inspection: Inspection): string[] {
  const { endpoint, server, bytes, tables, slots, publications, helpers } = inspection;
  const rows = tables.map((info) => [
    info.table,
    info.kind,
    info.rowsEstimate === null ? 'not analyzed' : `~${count(info.rowsEstimate)}`,
    size(info.bytes),
    info.replicaIdentity === 'full' ? 'full row' : info.key.join(', ') || 'none',
  ]);
  return [
    `${server}   ${printable(endpoint)}   ${size(bytes)}   ${many(tables.length, 'table')}`,
    ...(tables.length > 0 ? table(['table', 'kind', 'rows', 'size', 'key'], rows, ['rows', 'size']) : []),
    ...slots.map(slotText),
    ...publications.map((name) => `publication ${printable(name)}`),
    ...helpers.map(printable),
  ];
}

function slotText(slot: Inspection['slots'][number]): string {
  const { name, plugin, heldFrom, active, retainedBytes, walStatus, invalidation, inactiveSince } = slot;
  const unused = inactiveSince === null ? 'not in use' : `not in use since ${inactiveSince}`;
  return [
    `slot ${printable(name)} (${plugin}): holds changes from ${heldFrom} on`,
    active ? 'in use' : unused,
    `keeps ${retainedBytes === null ? 'unknown' : size(retainedBytes)} of log`,
    ...(walStatus === null || walStatus === 'reserved' ? [] : [walStatus]),
    ...(invalidation === null ? [] : [`given up by the server (${invalidation})`]),
  ].join(', ');
}

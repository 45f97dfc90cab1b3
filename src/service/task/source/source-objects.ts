/** What a task has in its source, as its options say: replica identities, the publication, the helpers. */
import { taskSpec } from '../../../contract/task-spec.ts';
import { displayName, nameKey } from '../../../engine/change/relation.ts';
import type { ColumnInfo, TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import type { Session } from '../../../engine/pg/session.ts';
import type { CatalogEvent } from '../../../engine/source/helpers/catalog-diff.ts';
import { keepHelpers } from '../../../engine/source/helpers/keep-helpers.ts';
import type { Decoder } from '../../../engine/pg/slot/decoder.ts';
import { prepareSource, publishMore, type Publishing, type Through } from '../../../engine/source/prepare.ts';
import type { IdentityWishes, SetFull, WhyFull } from '../../../engine/source/replica-identity.ts';
import { needsWholeRow } from '../../../engine/source/row-filter.ts';
import { partitionsWithoutKey } from '../../../engine/pg/catalog/tables/partition-keys.ts';
import { rememberSourceIdentity } from '../../../engine/target/books/task-row.ts';
import { partLine } from '../stream/parts.ts';
import { warn, type MigrationRequest, type TaskRun } from '../task-run.ts';

type Asked = Pick<MigrationRequest, 'heartbeat' | 'captureDdl' | 'replicaIdentity'>;

/** The request's options with their defaults. */
export function sourceOptions(request: Asked): Required<Asked> {
  const { heartbeat, captureDdl, replicaIdentity } = taskSpec.shape;
  return {
    heartbeat: heartbeat.parse(request.heartbeat),
    captureDdl: captureDdl.parse(request.captureDdl),
    replicaIdentity: replicaIdentity.parse(request.replicaIdentity),
  };
}

/** Which tables must get FULL. */
async function identityWishes(run: TaskRun, tables: readonly TableInfo[]): Promise<IdentityWishes> {
  // A row that the target lacks is put in whole (conflict mode ignore).
  const keeps = (table: TableInfo) =>
    run.request.conflict === 'ignore' &&
    table.replicaIdentity !== 'full' &&
    table.columns.some(mayBeOutOfLine);
  const isUnkeyed = await unkeyedParts(run, tables);
  const reads = (table: TableInfo) => {
    const { filter, operations } = run.followedOf(table);
    return keeps(table) || isUnkeyed(table) || needsWholeRow(table, filter, operations);
  };
  return { policy: sourceOptions(run.request).replicaIdentity, needsWholeRow: reads };
}

/** Partitions whose own key does not tell their rows from those of the others, in the one table that holds them all. */
async function unkeyedParts(
  run: TaskRun,
  tables: readonly TableInfo[],
): Promise<(table: TableInfo) => boolean> {
  if (run.request.partitions !== 'plain') return () => false;
  const lacking = new Set(
    (await partitionsWithoutKey(await run.ends.source(), tables)).map(({ oid }) => oid),
  );
  return ({ oid }) => lacking.has(oid);
}

/** By type: those of fixed length never are. */
function mayBeOutOfLine({ typeKind, typeOid, isArray }: ColumnInfo): boolean {
  return isArray || (typeKind !== 'e' && !FIXED.has(typeOid));
}

/** bool, "char", name, int2, int4, int8, oid, float4, float8, money, date, time, timestamp, timestamptz, interval, timetz, uuid. */
const FIXED = new Set([16, 18, 19, 20, 21, 23, 26, 700, 701, 790, 1082, 1083, 1114, 1184, 1186, 1266, 2950]);

const WHY: Readonly<Record<WhyFull, string>> = {
  'no-key': 'tables without a key',
  'whole-row':
    'tables of which more than the key is read (by their filter, to put in rows that the target lacks, or where partitions go into one table that lacks their key)',
  all: 'all other tables (--replica-identity all)',
};

/** P1, before the slot. Says which tables are changed. */
export async function prepareForSlot(run: TaskRun, decoder: Decoder): Promise<void> {
  const { heartbeat, captureDdl } = sourceOptions(run.request);
  const helpers = { heartbeat, captureDdl: captureDdl === 'auto' };
  const source = await run.ends.source();
  sayFull(run, await prepareSource(source, { ...(await publishing(run, run.followed, decoder)), helpers }));
}

/** The same for tables that come while the task runs, on a session of theirs. */
export async function publishTables(
  run: TaskRun,
  source: Session,
  tables: readonly TableInfo[],
): Promise<void> {
  sayFull(run, await publishMore(source, await publishing(run, tables, decoderOf(run))));
}

function decoderOf({ task }: TaskRun): Decoder {
  return task.slot?.decoder ?? 'pgoutput';
}

function throughOf({ request }: TaskRun, decoder: Decoder): Through {
  if (decoder !== 'pgoutput') return 'none';
  return request.publication === undefined ? 'ours' : 'theirs';
}

async function publishing(run: TaskRun, tables: readonly TableInfo[], decoder: Decoder): Promise<Publishing> {
  const target = await run.ends.target();
  return {
    names: run.names,
    through: throughOf(run, decoder),
    tables,
    identities: await identityWishes(run, tables),
    remember: (former) => rememberSourceIdentity(target, run.taskId, former),
    signal: run.hooks.signal,
  };
}

function sayFull(run: TaskRun, changed: readonly SetFull[]): void {
  for (const [why, of] of Map.groupBy(changed, (one) => one.why)) {
    const tables = of.map(({ table }) => displayName(table)).join(', ');
    warn(run, `REPLICA IDENTITY FULL was set on ${WHY[why]}, until cleanup: ${tables}`);
  }
}

/** While changes are followed: the heartbeat, and what event triggers do not tell. Runs until it is disposed of. */
export function keepSource(run: TaskRun): Disposable {
  const { heartbeat, captureDdl } = sourceOptions(run.request);
  const hasHelpers = throughOf(run, decoderOf(run)) === 'ours';
  return keepHelpers({
    names: run.names,
    heartbeat: hasHelpers && heartbeat,
    captureDdl: hasHelpers && captureDdl === 'auto',
    open: () => run.ends.openWatch('source'),
    known: run.selected,
    position: () => run.book.position,
    onWarning: (message) => warn(run, message),
    onCatalog: (events) => {
      const ours = new Set(
        run.selected.flatMap(({ oid, schema, name }) => [String(oid), nameKey({ schema, name })]),
      );
      for (const event of events) {
        const isOurs = ours.has(String(event.table.oid)) || ours.has(nameKey(event.table));
        const line = isOurs ? (partLine(run, event) ?? catalogLine(event)) : null;
        if (line !== null) warn(run, line);
      }
    },
  });
}

/** For a person; null for what concerns nobody. */
function catalogLine(event: CatalogEvent): string | null {
  const name = displayName(event.table);
  switch (event.kind) {
    // Said by who picks up new tables.
    case 'created':
    case 'renamed':
      return null;
    case 'dropped':
      return `${name} was dropped on the source`;
    case 'replaced':
      return `${name} of the source was dropped and made anew`;
    case 'became-partitioned':
      return `${name} of the source was replaced by a partitioned table`;
    case 'attached':
      return `${name} became a partition on the source`;
    case 'detached':
      return `${name} is no partition any more on the source`;
    case 'column-added':
      return `column "${event.column}" was added to ${name} on the source`;
    case 'column-dropped':
      return `column "${event.column}" of ${name} was dropped on the source`;
    case 'column-renamed':
      return `column "${event.before}" of ${name} is called "${event.column}" on the source now`;
    case 'column-retyped':
      return `the type of column "${event.column}" of ${name} was changed on the source (it was ${event.before})`;
    case 'identity-changed':
      return event.table.replicaIdentity === 'full'
        ? null
        : `the replica identity of ${name} was changed on the source`;
    case 'persistence-changed':
      return `${name} is ${event.table.persistence === 'unlogged' ? 'unlogged' : 'logged'} now on the source`;
  }
}

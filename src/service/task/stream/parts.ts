/**
 * Partitions where partitioned tables are plain ones on the target, as they come and go while changes are followed. The task knows which
 * rows stand where: a new partition, and a table that becomes one, has a table of its own at first (joining.ts brings them together);
 * what is no partition any more stays where its rows are.
 */
import { LSN_ZERO } from '../../../engine/change/lsn.ts';
import { displayName, nameKey } from '../../../engine/change/relation.ts';
import { readPartitionBounds } from '../../../engine/pg/catalog/tables/partition-bounds.ts';
import type { TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { listedTables } from '../../../engine/precheck/finding.ts';
import type { CatalogEvent } from '../../../engine/source/helpers/catalog-diff.ts';
import type { TargetTable } from '../../../engine/target/apply/sql/target-table.ts';
import { holdFence } from '../../../engine/target/books/task-row.ts';
import { placeTaskTable, type TaskTable } from '../../../engine/target/books/task-tables.ts';
import { nameTargets, type MigrationRequest, type TaskRun } from '../task-run.ts';

type Place = Pick<TaskTable, 'oid' | 'rootOid' | 'isApart' | 'bound'>;

/** The rows of partitions, where they go into a plain table; read before anything of them is followed. */
export async function boundsOf(
  source: Session,
  { partitions }: Pick<MigrationRequest, 'partitions'>,
  tables: readonly TableInfo[],
): Promise<ReadonlyMap<number, string>> {
  return partitions === 'plain' ? readPartitionBounds(source, tables) : new Map();
}

/** At the beginning of a migration, before anything is made. */
export function sayPlain({ request, selected, hooks, book }: TaskRun): void {
  const partitioned = selected.filter(({ kind, rootOid }) => kind === 'p' && rootOid === null);
  if (request.partitions !== 'plain' || partitioned.length === 0) return;
  const message = `partitioned tables that become plain ones: ${listedTables(partitioned)}`;
  hooks.onEvent({ level: 'info', phase: book.phase, message });
}

/** Each still holds the rows that it held when the task took it in: only then is it known which they were in between. */
export async function areAsTaken(run: TaskRun, tables: readonly TargetTable[]): Promise<boolean> {
  const known = tables.map(({ source }) => run.followed.find((one) => nameKey(one) === nameKey(source)));
  const now = await readPartitionBounds(
    await run.ends.source(),
    known.flatMap((one) => one ?? []),
  );
  return tables.every(({ part }, at) => part !== null && now.get(known[at]?.oid ?? 0) === part);
}

/**
 * Those of the new tables that are to be made. A partition of a table that has rows on the target already stands apart from them; an
 * unlogged one never could join them, and is left out.
 */
export function setApart(
  run: TaskRun,
  fresh: readonly TableInfo[],
  leaveOut: (unfit: readonly TableInfo[]) => void,
): TableInfo[] {
  if (run.request.partitions !== 'plain') return [...fresh];
  const filled = new Set(run.tables.map(({ rootOid }) => rootOid));
  const joins = fresh.filter(({ kind, rootOid }) => kind === 'r' && rootOid !== null && filled.has(rootOid));
  const unfit = new Set(joins.filter(({ persistence }) => persistence === 'unlogged'));
  if (unfit.size > 0) leaveOut([...unfit]);
  // Their copy begins when they are partitions already, and ends before they join.
  for (const table of joins) if (!unfit.has(table)) run.apart.set(table.oid, LSN_ZERO);
  return fresh.filter((table) => !unfit.has(table));
}

/** A table that can be brought together with those of the partitioned table that it was attached to. Filters of the two may differ. */
function mayJoin({ request, selected }: TaskRun, table: TableInfo, root: number): boolean {
  const isOurs = request.types.has('schema') && request.types.has('full') && request.rules.length === 0;
  const isKnown = selected.some(({ oid, kind, rootOid }) => oid === root && kind === 'p' && rootOid === null);
  return isOurs && isKnown && table.kind === 'r' && table.persistence !== 'unlogged';
}

/** Takes note of tables that were attached since, and of those that stand apart and are no partitions any more. */
export async function placeKnown(run: TaskRun, all: readonly TableInfo[]): Promise<void> {
  if (run.request.partitions !== 'plain') return;
  const now = new Map(all.map((table) => [table.oid, table.rootOid]));
  const moved = run.selected.filter(({ oid, rootOid }) => (now.get(oid) ?? null) !== rootOid);
  if (moved.length === 0) return;
  const oids = new Set(moved.map(({ oid }) => oid));
  const bounds = await readPartitionBounds(
    await run.ends.source(),
    all.filter(({ oid }) => oids.has(oid)),
  );
  const places = moved.flatMap((table): Place[] => {
    const { oid, rootOid } = table;
    const root = now.get(oid) ?? null;
    if (run.apart.has(oid)) return [{ oid, rootOid: null, isApart: false, bound: null }];
    return root !== null && rootOid === null && mayJoin(run, table, root)
      ? [{ oid, rootOid: root, isApart: true, bound: bounds.get(oid) ?? null }]
      : [];
  });
  if (places.length === 0) return;
  const target = await run.ends.target();
  await target.transaction(async () => {
    await holdFence(target, run.taskId, run.fence);
    for (const place of places) await placeTaskTable(target, run.taskId, place);
  });
  for (const place of places) take(run, place);
}

/** What is known of a table changes with its place. */
export function take(run: TaskRun, { oid, rootOid, isApart }: Omit<Place, 'bound'>): void {
  const place = (table: TableInfo) => (table.oid === oid ? { ...table, rootOid } : table);
  run.selected = run.selected.map(place);
  run.tables = run.tables.map(place);
  run.followed = run.followed.map(place);
  if (isApart) run.apart.set(oid, null);
  else run.apart.delete(oid);
  nameTargets(run);
}

/** For a person, of a partition whose rows stand where the source has them no more, or not yet; null for other events. */
export function partLine(run: TaskRun, event: CatalogEvent): string | null {
  if (run.request.partitions !== 'plain') return null;
  const known = run.selected.find(({ oid }) => oid === event.table.oid);
  const nameOf = (oid: number) => run.selected.find((table) => table.oid === oid);
  if (!known || known.kind !== 'r') return null;
  if (event.kind === 'attached') {
    const root = mayJoin(run, known, event.root) ? undefined : nameOf(event.root);
    return root
      ? `${displayName(known)} became a partition of ${displayName(root)} on the source; on the target it keeps a table of its own`
      : null;
  }
  if (event.kind !== 'detached' && event.kind !== 'dropped') return null;
  const root = known.rootOid === null || run.apart.has(known.oid) ? undefined : nameOf(known.rootOid);
  return root
    ? `${displayName(known)} is no partition of ${displayName(root)} any more on the source; on the target, where that is a plain table, its rows stay in it until you delete them`
    : null;
}

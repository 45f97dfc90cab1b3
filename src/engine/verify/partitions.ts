/** Decides whether a partitioned table is compared partition by partition or as a whole: its layout may differ between the ends. */
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import type { Session } from '../pg/session.ts';

/** What matters here of a pair of tables; the caller's own kind of pair comes back. */
interface Pair {
  readonly source: TableInfo;
  readonly target: TableInfo | null;
}

/** The oid of every partition that holds rows → the oid of the partitioned table at the top of it. */
export type PartitionRoots = ReadonlyMap<number, number>;

export async function readPartitionRoots(session: Session): Promise<PartitionRoots> {
  if (session.version < 100_000) return new Map();
  const rows = await session.query(`
    WITH RECURSIVE tree(root, member) AS (
      SELECT c.oid, i.inhrelid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid
       WHERE c.relkind = 'p' AND NOT c.relispartition
      UNION ALL
      SELECT tree.root, i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.member)
    SELECT tree.root::pg_catalog.text AS root, tree.member::pg_catalog.text AS member
      FROM tree JOIN pg_catalog.pg_class m ON m.oid = tree.member WHERE m.relkind <> 'p'`);
  return new Map(rows.map(({ root, member }) => [Number(member), Number(root)]));
}

/**
 * The pairs to compare. A partitioned table is left out when its partitions correspond one to one; otherwise (other layout, a plain
 * table on the target, no partitions at all) the whole is compared and its partitions are left out.
 */
export function pairsToCompare<P extends Pair>(
  pairs: readonly P[],
  sourceRoots: PartitionRoots,
  targetRoots: PartitionRoots,
): P[] {
  const leavesOf = Map.groupBy(pairs, ({ source }) => sourceRoots.get(source.oid));
  const whole = new Set(
    pairs
      .filter(({ source }) => source.kind === 'p' && !source.isPartition)
      .filter((root) => !sameLayout(root, leavesOf.get(root.source.oid) ?? [], { sourceRoots, targetRoots }))
      .map(({ source }) => source.oid),
  );
  return pairs.filter(({ source }) => {
    if (source.kind === 'p') return whole.has(source.oid);
    const root = sourceRoots.get(source.oid);
    return root === undefined || !whole.has(root);
  });
}

interface Roots {
  readonly sourceRoots: PartitionRoots;
  readonly targetRoots: PartitionRoots;
}

/** True when comparing the given partitions one by one says everything about the partitioned table. */
function sameLayout({ source, target }: Pair, leaves: readonly Pair[], roots: Roots): boolean {
  if (target?.kind !== 'p' || leaves.length === 0) return false;
  if (!leaves.every((leaf) => leaf.target && roots.targetRoots.get(leaf.target.oid) === target.oid))
    return false;
  const count = (map: PartitionRoots, oid: number) => [...map.values()].filter((root) => root === oid).length;
  // A partition that only the target has could hide rows; unless the user left partitions out, then the target may have others.
  const selectedAll = count(roots.sourceRoots, source.oid) === leaves.length;
  return !selectedAll || count(roots.targetRoots, target.oid) === leaves.length;
}

/** Which rows a partition holds, as a condition on its columns that says so wherever these rows stand. */
import type { Session } from '../../session.ts';

/** A default partition holds what the others do not, whichever they are; of hash partitions only their own server can tell. */
const TELLS_NOTHING = /\bNOT \(|\bsatisfies_hash_partition\(/;

/** By oid, those that can be told. A partition that holds another table's rows besides is none of its own. */
export async function readPartitionBounds(
  session: Session,
  tables: readonly { readonly oid: number; readonly rootOid: number | null }[],
): Promise<Map<number, string>> {
  const oids = tables.flatMap(({ oid, rootOid }) => (rootOid === null ? [] : [oid]));
  if (oids.length === 0) return new Map();
  const rows = await session.query(
    `SELECT c.oid::text AS oid, pg_catalog.pg_get_partition_constraintdef(c.oid) AS bound
       FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND c.relispartition`,
    [`{${oids.join(',')}}`],
  );
  return new Map(
    rows.flatMap(({ oid, bound }) =>
      bound == null || TELLS_NOTHING.test(bound) ? [] : [[Number(oid), bound] as const],
    ),
  );
}

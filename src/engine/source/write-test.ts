/**
 * Whether the source has changed a chunk's rows between two snapshots, exactly and without a stream. Under the later snapshot every row
 * is counted, and every row that a transaction unknown to the earlier one has written. If there are none of these, each row was there
 * already; if the number is what it was, none has gone.
 *
 * Sub-transactions are not in a snapshot's text, so what lies behind its xmin counts as unknown: an old open transaction can make rows
 * look changed that are not, never the other way round. The same holds for xids older than half of their circle.
 */
import type { Snapshot } from '../change/snapshot.ts';
import { literal, qname } from '../pg/ident.ts';
import type { Session } from '../pg/session.ts';
import { chunkCondition, type ChunkPlace } from './copy-statement.ts';

/** `reader` is in a transaction under the later snapshot, with the table locked. `rows`: what the earlier copy read. */
export async function isUnchanged(
  reader: Session,
  place: ChunkPlace,
  { earlier, rows }: { readonly earlier: Snapshot; readonly rows: bigint },
): Promise<boolean> {
  const oldest = literal(String(earlier.xmin % 2n ** 32n));
  const where = chunkCondition(place);
  const found = await reader.one(
    `SELECT count(*)::text AS rows,
            count(*) FILTER (WHERE pg_catalog.age(t.xmin) <= (SELECT pg_catalog.age(${oldest}::pg_catalog.xid)))::text AS unknown
       FROM ONLY ${qname(place.table)} t${where === null ? '' : ` WHERE ${where}`}`,
  );
  return found.unknown === '0' && found.rows === String(rows);
}

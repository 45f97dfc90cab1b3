/** Which row of a chunk it was, by its place in the order in which COPY sent them: named by its key, or by its place in the table. */
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import { ident, literal, qname } from '../pg/ident.ts';
import type { Session } from '../pg/session.ts';
import { chunkCondition, type ChunkPlace } from './copy-statement.ts';

const SHOWN = 80;

/**
 * `reader` is in a transaction under the snapshot of that COPY. The rows come in the same order again: one process reads them, from the
 * beginning of the table, and a cursor is planned as for all of them. Null when there is no such row.
 */
export async function findRow(reader: Session, place: ChunkPlace, before: number): Promise<string | null> {
  const { table } = place;
  const where = chunkCondition(place);
  const from = `FROM ONLY ${qname(table)}`;
  await reader.query(
    `SET LOCAL cursor_tuple_fraction = 1;
     DECLARE rows NO SCROLL CURSOR FOR SELECT ctid::text AS place ${from}${where === null ? '' : ` WHERE ${where}`}`,
  );
  if (before > 0) await reader.query(`MOVE FORWARD ${before} FROM rows`);
  const [row] = await reader.query('FETCH NEXT FROM rows');
  if (!row?.place) return null;
  const key = await keyAt(reader, table, row.place).catch(() => null);
  return key ?? `ctid = ${row.place}`;
}

/** `(id, at) = (5, 2024-01-01)`; null for a table without a key. The key may itself be what cannot be sent. */
async function keyAt(reader: Session, table: TableInfo, place: string): Promise<string | null> {
  const names = table.identityColumns;
  if (names.length === 0) return null;
  const [row] = await reader.query(
    `SELECT ${names.map((name, at) => `${ident(name)}::text AS k${at}`).join(', ')} FROM ONLY ${qname(table)}
      WHERE ctid = ${literal(place)}::pg_catalog.tid`,
  );
  if (!row) return null;
  const cells = names.map((_, at) => (row[`k${at}`] ?? 'NULL').slice(0, SHOWN));
  return `(${names.join(', ')}) = (${cells.join(', ')})`;
}

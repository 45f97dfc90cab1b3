/** The statement that sends a chunk's rows, and the condition that says which rows those are. Pure. */
import type { Cut } from '../change/cut.ts';
import { keyCondition, placeCondition } from '../pg/chunk-condition.ts';
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import { ident, qname } from '../pg/ident.ts';

/** One chunk of a table that is cut so. */
export interface ChunkPlace {
  readonly table: TableInfo;
  readonly cut: Cut;
  readonly chunk: number;
  /** A row filter's condition; none: all rows. */
  readonly condition?: string | undefined;
}

/** `columns`: what the target takes, in its order. Binary only where both ends have the same built-in types. */
export interface ChunkRows extends ChunkPlace {
  readonly columns: readonly string[];
  readonly binary: boolean;
}

export function copyOut(rows: ChunkRows): string {
  const names = rows.columns.map(ident).join(', ');
  const where = chunkCondition(rows);
  const table = qname(rows.table);
  // A table without columns is legal and has nothing but its row count.
  const list = rows.columns.length > 0 ? ` (${names})` : '';
  const what = where === null ? `${table}${list}` : `(SELECT ${names} FROM ONLY ${table} WHERE ${where})`;
  return `COPY ${what} TO STDOUT${rows.binary ? ' (FORMAT binary)' : ''}`;
}

/** Which rows of the table belong to the chunk and pass; null where all do. */
export function chunkCondition(place: ChunkPlace): string | null {
  const range = rangeCondition(place);
  if (place.condition === undefined) return range;
  return range === null ? `(${place.condition})` : `${range} AND (${place.condition})`;
}

function rangeCondition({ table, cut, chunk }: ChunkPlace): string | null {
  switch (cut.kind) {
    case 'whole':
      return null;
    case 'ctid':
      return placeCondition(cut.bounds, chunk);
    case 'key':
      return keyCondition(cut, chunk, table.columns);
  }
}

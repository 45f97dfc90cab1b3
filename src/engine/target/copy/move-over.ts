/** Moves all rows of a table of ours into another one, and drops it: a partition whose table is a plain one on the target. */
import { nameKey, type QualifiedName } from '../../change/relation.ts';
import { readTables, type TableInfo } from '../../pg/catalog/tables/tables.ts';
import { ident, qname } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';

/** One of the two has columns that the other has not, yet or any more. */
export class NotAlike extends Error {
  override readonly name = 'NotAlike';
}

interface Move {
  /** The source's table. */
  readonly table: QualifiedName;
  readonly from: QualifiedName;
  readonly into: QualifiedName;
}

/**
 * Inside the caller's transaction. Returns the names of the indexes that go with the table. Throws NotAlike, and what the target refuses with: a key that both have, something that
 * needs the table.
 */
export async function moveOver(
  session: Session,
  taskId: string,
  { table, from, into }: Move,
): Promise<string[]> {
  const there = new Map((await readTables(session, { sizes: false })).map((one) => [nameKey(one), one]));
  const [here, other] = [columnsOf(there.get(nameKey(from))), columnsOf(there.get(nameKey(into)))];
  if (here.length === 0 || here.toSorted().join() !== other.toSorted().join())
    throw new NotAlike('the two tables of the target do not have the same columns');
  const columns = here.join(', ');
  await session.query(
    `INSERT INTO ${qname(into)} (${columns}) OVERRIDING SYSTEM VALUE SELECT ${columns} FROM ONLY ${qname(from)}`,
  );
  const indexes = await session.query(
    `SELECT c.relname AS name FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
      WHERE i.indrelid = pg_catalog.to_regclass($1)`,
    [qname(from)],
  );
  await session.query(`DROP TABLE ${qname(from)}`);
  await session.query(
    'UPDATE _opendts.dead_letter SET target_schema = $4, target_name = $5 WHERE task_id = $1 AND schema_name = $2 AND table_name = $3',
    [taskId, table.schema, table.name, into.schema, into.name],
  );
  return indexes.map(({ name }) => name ?? '');
}

/** Those that are written, quoted. */
function columnsOf(table: TableInfo | undefined): string[] {
  return (table?.columns ?? []).flatMap(({ name, generated }) => (generated === '' ? [ident(name)] : []));
}

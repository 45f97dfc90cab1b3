/**
 * Sees DDL of the source by comparing its catalog with how it was at the last look, where no event trigger tells: seconds later, not in
 * the order of the changes, and without what was undone in between.
 */
import { readTables, type TableInfo } from '../../pg/catalog/tables/tables.ts';
import type { Session } from '../../pg/session.ts';
import { diffTables, type CatalogEvent } from './catalog-diff.ts';

/**
 * Changes with every DDL on a table or one of its columns, and costs the server one pass over its catalog: the tables themselves are read
 * only when it has changed. It changes for other reasons too (the first index of a table, a grant).
 */
const sum = (of: string, from: string) =>
  `(SELECT count(*) || ' ' || coalesce(sum(pg_catalog.hashtext(${of})::int8), 0) FROM pg_catalog.${from})`;
const KEPT = "c.relpersistence <> 't'";
const FINGERPRINT = `SELECT ${[
  sum("c.oid || ' ' || c.xmin", `pg_class c WHERE c.relkind IN ('r', 'p') AND ${KEPT}`),
  sum(
    "a.attrelid || ' ' || a.attnum || ' ' || a.xmin",
    `pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE a.attnum > 0 AND c.relkind IN ('r', 'p') AND ${KEPT}`,
  ),
  sum(
    "i.indexrelid || ' ' || i.xmin",
    `pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid WHERE c.relkind IN ('r', 'p') AND ${KEPT}`,
  ),
  sum("h.inhrelid || ' ' || h.xmin", 'pg_inherits h'),
  sum("n.oid || ' ' || n.xmin", "pg_namespace n WHERE n.nspname !~ '^pg_'"),
].join(" || ' ' || ")} AS print`;

export class CatalogWatch {
  private known: readonly TableInfo[];
  private print: string | null = null;

  /** `known`: the tables as the task knows them. */
  constructor(known: readonly TableInfo[]) {
    this.known = known;
  }

  /** What has changed since the last look. For a session outside a transaction; waits for no lock of the user's. */
  async look(session: Session): Promise<CatalogEvent[]> {
    const { print } = await session.one(FINGERPRINT);
    if (print === this.print) return [];
    // Both of its statements must see one moment.
    const tables = await session.transaction(
      () => readTables(session, { sizes: false }),
      'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
    );
    const events = diffTables(this.known, tables);
    this.known = tables;
    // Read before the tables: what came in between is looked for again.
    this.print = print ?? null;
    return events;
  }
}

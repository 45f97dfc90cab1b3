/**
 * Row filters: a condition of the user's, judged by the source itself before anything is changed. It must be what an index may have as
 * its WHERE: one boolean expression over the table's own columns, without subqueries, and immutable. An index on an empty temporary
 * table of the same columns tells that exactly, and which columns the condition reads; the transaction is rolled back. From then on
 * only the server's own writing of the condition is used, which is one expression with all names qualified, whatever was typed.
 */
import type { Operation } from '../../contract/task-spec.ts';
import { AppError } from '../../base/errors/app-error.ts';
import { displayName, type QualifiedName } from '../change/relation.ts';
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import { ident, qname } from '../pg/ident.ts';
import { PgError, SQLSTATE, isConnectionLoss } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import type { WishOf } from '../selection/table-wishes.ts';

export interface FilterColumn {
  readonly name: string;
  readonly typeOid: number;
  /** With length or precision. */
  readonly type: string;
  /** Quoted and qualified; null where the type has none. */
  readonly collation: string | null;
  readonly isGenerated: boolean;
}

export interface RowFilter {
  /** As the source calls it now. */
  readonly table: QualifiedName;
  /** One boolean expression over bare column names. Rows for which it is NULL do not pass. */
  readonly condition: string;
  /** What it reads. */
  readonly columns: readonly FilterColumn[];
  /** A value of the table may be stored out of line, and then an UPDATE that leaves it alone does not carry it. */
  readonly mayToast: boolean;
  /** It was usable when the task began, and is not any more: no change can be judged by it. */
  readonly broken?: Pick<FilterProblem, 'problem' | 'fix'>;
}

export interface FilterProblem {
  readonly table: QualifiedName;
  readonly oid: number;
  readonly problem: string;
  /** What to run, or how to write it. */
  readonly fix: string;
}

export interface ReadFilters {
  /** By oid of the table. */
  readonly filters: ReadonlyMap<number, RowFilter>;
  readonly problems: readonly FilterProblem[];
}

/**
 * The whole old row of an UPDATE must be known, and so REPLICA IDENTITY FULL be set: where the condition reads a column that is not part of
 * the identity, or where a row that enters what passes may have a value that the UPDATE does not carry. Deletes are judged only where
 * updates are followed.
 */
export function needsWholeRow(
  table: TableInfo,
  filter: RowFilter | null,
  operations: ReadonlySet<Operation>,
): boolean {
  if (filter === null || table.replicaIdentity === 'full' || !operations.has('update')) return false;
  return filter.mayToast || filter.columns.some(({ name }) => !table.identityColumns.includes(name));
}

/** The tables with the number of rows that the source expects to pass, from its statistics. */
export async function estimateRows(
  source: Session,
  tables: readonly TableInfo[],
  filterOf: (table: TableInfo) => RowFilter | null,
): Promise<TableInfo[]> {
  const estimated: TableInfo[] = [];
  for (const table of tables) {
    const filter = filterOf(table);
    if (filter === null || filter.broken || table.estimatedRows < 0) estimated.push(table);
    else {
      const row = await source.one(
        `EXPLAIN (FORMAT JSON) SELECT FROM ONLY ${qname(filter.table)} WHERE ${filter.condition}`,
      );
      const [plan] = JSON.parse(row['QUERY PLAN'] ?? '[]') as { Plan?: { 'Plan Rows'?: number } }[];
      estimated.push({ ...table, estimatedRows: plan?.Plan?.['Plan Rows'] ?? table.estimatedRows });
    }
  }
  return estimated;
}

/** The filters of these tables. What is wrong with one is a problem; only a lost connection throws. */
export async function readFilters(
  source: Session,
  tables: readonly TableInfo[],
  wishOf: WishOf,
): Promise<ReadFilters> {
  const filters = new Map<number, RowFilter>();
  const problems: FilterProblem[] = [];
  const wanted = tables.filter((table) => wishOf(table).filter !== null);
  if (wanted.length === 0) return { filters, problems };
  const present = await readPresent(source, wanted);
  // Partitions share their columns with the table at the top.
  const tops = new Map<number, Judged>();
  for (const table of wanted.filter(({ rootOid }) => rootOid === null)) {
    const { oid } = table;
    const judged = await judge(source, { ...table, ...present.get(oid) }, wishOf(table).filter ?? '');
    if ('problem' in judged) problems.push({ table, oid, ...judged });
    else tops.set(oid, judged);
  }
  for (const table of wanted) {
    const judged = tops.get(table.rootOid ?? table.oid);
    const now = present.get(table.oid);
    if (judged && now) {
      const { schema, name, mayToast } = now;
      filters.set(table.oid, { ...judged, table: { schema, name }, mayToast });
    }
  }
  return { filters, problems };
}

/** The filters of these tables by oid. Throws FILTER_INVALID. */
export async function usableFilters(
  source: Session,
  tables: readonly TableInfo[],
  wishOf: WishOf,
): Promise<ReadFilters['filters']> {
  const { filters, problems } = await readFilters(source, tables, wishOf);
  for (const { table, problem, fix } of problems)
    throw new AppError('FILTER_INVALID', { table: displayName(table), problem, remedy: fix });
  return filters;
}

type Judged = Pick<RowFilter, 'table' | 'condition' | 'columns'>;

async function judge(
  source: Session,
  table: TableInfo,
  condition: string,
): Promise<Judged | Omit<FilterProblem, 'table' | 'oid'>> {
  try {
    const judged = await askServer(source, table, condition);
    if (judged.columns.length === 0)
      return {
        problem: 'it reads no column of the table',
        fix: 'Leave the table out, or write a condition.',
      };
    // Nothing but these columns is at hand where changes are judged, and its functions must be ours to call.
    await source.query(`SELECT ${verdictsSql(judged, 1)}`, ['[]']);
    return judged;
  } catch (thrown) {
    if (!(thrown instanceof PgError) || isConnectionLoss(thrown)) throw thrown;
    return { problem: thrown.message, fix: fixOf(thrown, source) };
  }
}

function fixOf({ sqlstate, message }: PgError, source: Session): string {
  if (sqlstate === SQLSTATE.insufficientPrivilege && message.includes('temporary'))
    return `To check filters the account makes a temporary table on the source: GRANT TEMPORARY ON DATABASE … TO ${ident(source.user)};`;
  if (sqlstate === READ_ONLY)
    return 'To check filters a temporary table is made on the source; a standby does not allow it.';
  return 'Write a condition that an index could have as its WHERE: columns of this table, immutable functions and operators, no subquery; names outside pg_catalog with their schema.';
}

const READ_ONLY = '25006';

async function askServer(source: Session, table: TableInfo, condition: string): Promise<Judged> {
  const empty = `pg_temp.${ident(table.name)}`;
  await source.query('BEGIN');
  try {
    await source.query(`CREATE TEMP TABLE ${ident(table.name)} (LIKE ${qname(table)})`);
    // With a parameter the server takes one statement only, and EXPLAIN does not run it: the next one cannot be two either.
    await source.query(`EXPLAIN SELECT $1::pg_catalog.text FROM ${empty} WHERE ${condition}`, ['']);
    await source.query(`CREATE INDEX opendts_filter ON ${empty} ((1)) WHERE ${condition}`);
    const rows = await source.query(
      `SELECT pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS condition, a.attname AS name,
              CASE WHEN a.attcollation <> 0 THEN pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(l.collname) END AS collation
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
         LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
           AND d.refclassid = d.classid AND d.refobjid = i.indrelid
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid AND a.attnum > 0
         LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
        WHERE x.relname = 'opendts_filter' AND x.relnamespace = pg_catalog.pg_my_temp_schema()
        ORDER BY a.attnum`,
    );
    const columns = rows.flatMap(({ name, collation }): FilterColumn[] => {
      const column = table.columns.find((one) => one.name === name);
      if (!column) return [];
      const { typeOid, type, generated } = column;
      return [
        { name: column.name, typeOid, type, collation: collation ?? null, isGenerated: generated !== '' },
      ];
    });
    const { schema, name } = table;
    return { table: { schema, name }, condition: rows[0]?.condition ?? '', columns };
  } finally {
    await source.query('ROLLBACK').catch(() => {});
  }
}

/** What the tables are called now, whatever the task knows them by. */
async function readPresent(
  source: Session,
  tables: readonly TableInfo[],
): Promise<Map<number, QualifiedName & Pick<RowFilter, 'mayToast'>>> {
  const rows = await source.query(
    `SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name, (c.reltoastrelid <> 0)::text AS toast
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid = ANY ($1::pg_catalog.oid[])`,
    [`{${tables.map(({ oid }) => oid).join(',')}}`],
  );
  return new Map(
    rows.map(({ oid, schema, name, toast }) => [
      Number(oid),
      { schema: schema ?? '', name: name ?? '', mayToast: toast === 'true' },
    ]),
  );
}

/**
 * An SQL expression: one text with a 1 or 0 for each row of parameter `$n`, a JSON array of rows, each an array of its values as text in
 * the order of the filter's columns; null when there is none. The values have the types and collations of the table's columns.
 */
export function verdictsSql({ table, condition, columns }: Judged, n: number): string {
  // Names that the condition cannot mean.
  const place = longerThan(columns.map(({ name }) => name));
  const values = columns.map(
    ({ name, type, collation }, at) =>
      `(r.value ->> ${at})::${type}${collation === null ? '' : ` COLLATE ${collation}`} AS ${ident(name)}`,
  );
  return `(SELECT pg_catalog.string_agg(CASE WHEN ${condition} THEN '1' ELSE '0' END, '' ORDER BY ${ident(place)})
    FROM (SELECT ${values.join(', ')}, r.place AS ${ident(place)}
            FROM pg_catalog.json_array_elements($${n}::pg_catalog.json) WITH ORDINALITY r(value, place)) ${ident(longerThan([table.name]))})`;
}

/** A name that is none of these. */
function longerThan(names: readonly string[]): string {
  let name = 'r';
  while (names.includes(name)) name += 'r';
  return name;
}

/**
 * The source tables of a task as they were when it took them in, kept on the target: their oids, by which a renamed one is known again, and
 * the types that their columns have had, by which one that is changed is noticed.
 */
import type { QualifiedName } from '../../change/relation.ts';
import type { ColumnInfo } from '../../pg/catalog/tables/tables.ts';
import type { Session } from '../../pg/session.ts';

export type ColumnForm = Pick<ColumnInfo, 'typeOid' | 'typmod' | 'type'>;

export interface KnownColumn {
  /** The oldest first; none for a column that the target was made without. */
  readonly forms: readonly ColumnForm[];
  /** Added since: older changes do not have it. */
  readonly isLater: boolean;
  /** Its number on the source, by which it is known when it is renamed; null where it was not seen. */
  readonly attnum: number | null;
}

export type KnownColumns = ReadonlyMap<string, KnownColumn>;

/** As it was called when the task took it in, and its oid on the source, by which it is known if it is renamed. */
export interface TaskTable extends QualifiedName {
  readonly oid: number;
  /** The partitioned table at the top of a partition. */
  readonly rootOid: number | null;
  /** Its rows do not stand with those of that table, although it is a plain one on the target. */
  readonly isApart: boolean;
  /** The rows that it holds as a partition, as a condition on its columns, when the task took it in; null where that cannot be told. */
  readonly bound: string | null;
  readonly columns: KnownColumns;
}

type ColumnText = [name: string, forms: [number, number, string][], isLater: boolean, attnum?: number | null];

function toText(columns: KnownColumns): string {
  const texts = [...columns].map(([name, { forms, isLater, attnum }]): ColumnText => {
    return [name, forms.map(({ typeOid, typmod, type }) => [typeOid, typmod, type]), isLater, attnum];
  });
  return JSON.stringify(texts);
}

function fromText(text: string): KnownColumns {
  return new Map(
    (JSON.parse(text) as ColumnText[]).map(([name, forms, isLater, attnum = null]) => [
      name,
      { forms: forms.map(([typeOid, typmod, type]) => ({ typeOid, typmod, type })), isLater, attnum },
    ]),
  );
}

function rowsOf(tables: readonly TaskTable[]): string {
  return JSON.stringify(
    tables.map(({ schema, name, oid, rootOid, isApart, bound, columns }) => [
      schema,
      name,
      oid,
      toText(columns),
      rootOid,
      isApart,
      bound,
    ]),
  );
}

/** Those that are there already stay as they are. */
export async function insertTaskTables(
  session: Session,
  taskId: string,
  tables: readonly TaskTable[],
): Promise<void> {
  await session.query(
    `INSERT INTO _opendts.task_table (task_id, schema_name, table_name, table_oid, columns, root_oid, apart, bound)
     SELECT $1, t.value ->> 0, t.value ->> 1, (t.value ->> 2)::bigint, t.value ->> 3, (t.value ->> 4)::bigint, (t.value ->> 5)::boolean, t.value ->> 6
       FROM pg_catalog.json_array_elements($2::json) t ON CONFLICT DO NOTHING`,
    [taskId, rowsOf(tables)],
  );
}

/** Of all of them, partitioned ones too; `top`: of a partition, the table at its top. */
export async function readTableNames(
  session: Session,
  taskId: string,
): Promise<{ readonly table: QualifiedName; readonly top: QualifiedName | null }[]> {
  return session.map(
    `SELECT t.schema_name, t.table_name, r.schema_name AS top_schema, r.table_name AS top_name FROM _opendts.task_table t
       LEFT JOIN _opendts.task_table r ON r.task_id = t.task_id AND r.table_oid = t.root_oid
      WHERE t.task_id = $1 ORDER BY t.schema_name, t.table_name`,
    (row) => ({
      table: { schema: row.schema_name ?? '', name: row.table_name ?? '' },
      top: row.top_name == null ? null : { schema: row.top_schema ?? '', name: row.top_name },
    }),
    { values: [taskId] },
  );
}

export async function readTaskTables(
  session: Session,
  taskId: string,
): Promise<(TaskTable & { readonly asIs: boolean })[]> {
  // Tables of large schemas are much alike: those with the same columns share what is known of them.
  const known = new Map<string, KnownColumns>();
  const columnsOf = (text: string) => {
    const columns = known.get(text) ?? fromText(text);
    known.set(text, columns);
    return columns;
  };
  return session.map(
    'SELECT schema_name, table_name, table_oid, root_oid, apart::text AS apart, bound, as_is::text AS as_is, columns FROM _opendts.task_table WHERE task_id = $1',
    (row) => ({
      schema: row.schema_name ?? '',
      name: row.table_name ?? '',
      oid: Number(row.table_oid),
      rootOid: row.root_oid == null ? null : Number(row.root_oid),
      isApart: row.apart === 'true',
      bound: row.bound ?? null,
      asIs: row.as_is === 'true',
      columns: columnsOf(row.columns ?? '[]'),
    }),
    { values: [taskId] },
  );
}

/** Where a table belongs now: with the rows of `rootOid`, apart from them, or to none. */
export async function placeTaskTable(
  session: Session,
  taskId: string,
  { oid, rootOid, isApart, bound }: Pick<TaskTable, 'oid' | 'rootOid' | 'isApart' | 'bound'>,
): Promise<void> {
  await session.query(
    'UPDATE _opendts.task_table SET root_oid = $3::bigint, apart = $4::boolean, bound = $5 WHERE task_id = $1 AND table_oid = $2::bigint',
    [taskId, String(oid), rootOid === null ? null : String(rootOid), String(isApart), bound],
  );
}

export async function writeKnownColumns(
  session: Session,
  taskId: string,
  tables: readonly TaskTable[],
): Promise<void> {
  await session.query(
    `UPDATE _opendts.task_table o SET columns = t.value ->> 3 FROM pg_catalog.json_array_elements($2::json) t
      WHERE o.task_id = $1 AND o.schema_name = t.value ->> 0 AND o.table_name = t.value ->> 1`,
    [taskId, rowsOf(tables)],
  );
}

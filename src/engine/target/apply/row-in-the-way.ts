/** Which row of the target a new one has met under a unique index or an exclusion constraint: looked for after the rollback. */
import { readable, type ByteText } from '../../change/change.ts';
import { ident, qname } from '../../pg/ident.ts';
import { PgError } from '../../pg/pg-error.ts';
import type { Session } from '../../pg/session.ts';
import type { ApplyRefused } from './apply-failure.ts';
import { writable } from './sql/apply-sql.ts';

const SHOWN = 80;

/** A column or expression of the index, and the operator by which two rows meet in it. */
interface Part {
  readonly expression: string;
  readonly meets: string;
}

/**
 * `(id) = (7)`: its key on the target, or its columns in that index where there is no key; cut short. Null when it cannot be found: it came
 * with the same transaction, or a value of the index is not known.
 */
export async function rowInItsWay(session: Session, refused: ApplyRefused): Promise<string | null> {
  const { incoming, planned, cause } = refused;
  if (incoming === null || !(cause instanceof PgError)) return null;
  const { table } = planned;
  const { schema = table.name.schema, table: name = table.name.name, constraint = '' } = cause.fields;
  const parts = await readParts(session, { schema, name: constraint });
  if (parts.length === 0) return null;
  const values: string[] = [];
  const parameter = (cell: ByteText) => `$${values.push(readable(cell))}`;
  const cells = writable(table).map(({ at, column }) => {
    const cell = incoming[at];
    const given = typeof cell === 'string' ? parameter(cell) : 'NULL';
    return `${given}::${column.bareType} AS ${ident(column.name)}`;
  });
  const itself = (planned.operation === 'update' ? (table.key ?? []) : []).map(({ column, equals }, at) => {
    const cell = planned.key?.[at] ?? null;
    return typeof cell === 'string'
      ? `t.${ident(column.name)} ${equals} ${parameter(cell)}::${column.bareType}`
      : 'false';
  });
  const shown =
    table.key?.map(({ column }) => `t.${ident(column.name)}`) ??
    parts.map(({ expression }) => `(${expression})`);
  const names = table.key?.map(({ column }) => column.name) ?? parts.map(({ expression }) => expression);
  const conditions = [
    ...parts.map(({ expression, meets }, at) => `(${expression}) ${meets} w.${ident(`opendts ${at}`)}`),
    ...(itself.length > 0 ? [`NOT (${itself.join(' AND ')})`] : []),
  ];
  const [row] = await session.query(
    `WITH w AS (SELECT ${parts.map(({ expression }, at) => `(${expression}) AS ${ident(`opendts ${at}`)}`).join(', ')} FROM (SELECT ${cells.join(', ')}) i)
     SELECT ${shown.map((value, at) => `pg_catalog.left(pg_catalog.format('%s', ${value}), ${SHOWN}) AS k${at}`).join(', ')}
       FROM ${qname({ schema, name })} t, w WHERE ${conditions.join(' AND ')} LIMIT 1`,
    values,
  );
  return row ? `(${names.join(', ')}) = (${names.map((_, at) => row[`k${at}`] ?? 'NULL').join(', ')})` : null;
}

async function readParts(session: Session, index: { schema: string; name: string }): Promise<Part[]> {
  const keyAttributes = session.version >= 110_000 ? 'i.indnkeyatts' : 'i.indnatts';
  const rows = await session.query(
    `SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k.pos, true) AS expression, s.nspname AS op_schema, o.oprname AS op
       FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL pg_catalog.generate_series(1, ${keyAttributes}::int) k(pos)
       JOIN pg_catalog.pg_opclass oc ON oc.oid = i.indclass[k.pos - 1]
       LEFT JOIN pg_catalog.pg_constraint x ON x.conindid = i.indexrelid AND x.conrelid = i.indrelid AND x.conexclop IS NOT NULL
       JOIN pg_catalog.pg_operator o ON o.oid = coalesce(x.conexclop[k.pos],
            (SELECT ao.amopopr FROM pg_catalog.pg_amop ao WHERE ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
                AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype))
       JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace
      WHERE n.nspname = $1 AND c.relname = $2 ORDER BY k.pos`,
    [index.schema, index.name],
  );
  return rows.map((row) => ({
    expression: row.expression ?? '',
    meets: `OPERATOR(${ident(row.op_schema ?? '')}.${row.op})`,
  }));
}

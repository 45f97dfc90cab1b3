/**
 * What the catalogs themselves say of a database, without our readers: every row of a user's object, with its name for its oid, and all its
 * columns but those that point elsewhere by number, count rows or places, or tell how old something is.
 */
import type { TestDatabase } from './database.ts';

const CATALOGS = [
  'pg_aggregate',
  'pg_amop',
  'pg_amproc',
  'pg_attrdef',
  'pg_cast',
  'pg_class',
  'pg_collation',
  'pg_constraint',
  'pg_conversion',
  'pg_namespace',
  'pg_opclass',
  'pg_operator',
  'pg_opfamily',
  'pg_policy',
  'pg_proc',
  'pg_rewrite',
  'pg_statistic_ext',
  'pg_trigger',
  'pg_ts_config',
  'pg_ts_dict',
  'pg_type',
];

/** Columns of types that hold oids, parsed expressions or numbers of columns. */
const POINTING = [
  'oid',
  'oidvector',
  '_oid',
  'pg_node_tree',
  'xid',
  'int2vector',
  '_int2',
  'aclitem',
  '_aclitem',
  '_pg_node_tree',
];

/**
 * Pages and tuples; flags that the server sets late or never takes back; what differs between partitions that were made as such and those that
 * were attached (our readers' definitions tell the rest); the encoding of a collation, which only a copy of a built-in one has for all.
 */
const LOOSE =
  /^(relpages|reltuples|relallvisible|relallfrozen|relhastriggers|relhasrules|relhasindex|relhassubclass|relnatts|relfilenode|collencoding|connoinherit|conislocal)$/;

/** One line for each row, by catalog. */
export async function rawCatalog(db: TestDatabase): Promise<Record<string, string[]>> {
  const kept = await db.session.query(
    `SELECT c.relname AS catalog, json_agg(a.attname ORDER BY a.attname)::text AS columns
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
      WHERE c.relname = ANY ($1::text[]) AND c.relnamespace = 'pg_catalog'::regnamespace AND a.attnum > 0 AND NOT t.typname = ANY ($2::text[])
      GROUP BY c.relname`,
    [`{${CATALOGS.join(',')}}`, `{${POINTING.join(',')}}`],
  );
  const answers: Record<string, string[]> = {};
  for (const { catalog, columns } of kept) {
    const names = (JSON.parse(columns ?? '[]') as string[]).filter((name) => !LOOSE.test(name));
    const oid = catalog === 'pg_aggregate' ? 'r.aggfnoid::oid' : 'r.oid';
    const rows = await db.session.query<{ line: string }>(
      `SELECT i.type || ' ' || i.identity || ' ' || jsonb_build_object(${names.map((name) => `'${name}', r.${name}`).join(', ')}) AS line
         FROM pg_catalog.${catalog} r, LATERAL pg_identify_object('${catalog === 'pg_aggregate' ? 'pg_proc' : catalog}'::regclass, ${oid}, 0) i
        WHERE ${oid} >= 16384 AND coalesce(i.schema, '') NOT IN ('pg_toast', '_opendts') AND i.identity !~ 'pg_toast'`,
    );
    answers[catalog ?? ''] = rows
      .map(({ line }) => line.replaceAll(/ConstraintTrigger_((?:[ac]_)?)\d+/g, 'ConstraintTrigger_$1'))
      .toSorted();
  }
  return answers;
}

/**
 * One text that is another whenever the schema of a source has changed: reading the model of thousands of tables only to find that nothing
 * has would take seconds and hundreds of megabytes. What we have in a source ourselves, and replica identities, are not in it.
 */
import type { Session } from '../session.ts';
import { USER_SCHEMA } from './user-object.ts';

/** Rows of which any change, or a new place, counts. */
const WHOLE = [
  'pg_enum',
  'pg_range',
  'pg_trigger',
  'pg_rewrite',
  'pg_policy',
  'pg_operator',
  'pg_opclass',
  'pg_opfamily',
  'pg_amop',
  'pg_amproc',
  'pg_cast',
  'pg_collation',
  'pg_conversion',
  'pg_ts_config',
  'pg_ts_config_map',
  'pg_ts_dict',
  'pg_ts_parser',
  'pg_ts_template',
  'pg_statistic_ext',
  'pg_inherits',
  'pg_partitioned_table',
  'pg_foreign_table',
  'pg_extension',
  'pg_default_acl',
  'pg_db_role_setting',
  'pg_auth_members',
] as const;

const ROW = "r.xmin::text || ' ' || r.ctid::text";
const OURS = "'^_?dts_(postgres_heartbeat|ddl_command|capture_ddl)'";
/** Relations that are the user's, for what belongs to them. */
const OF_USER = `SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                  WHERE ${USER_SCHEMA} AND c.relpersistence <> 't' AND NOT (n.nspname = 'public' AND c.relname ~ ${OURS})`;

interface Part {
  readonly from: string;
  readonly row: string;
}

const named = (catalog: string, prefix: string): Part => ({
  from: `${catalog} r JOIN pg_catalog.pg_namespace n ON n.oid = r.${prefix}namespace WHERE ${USER_SCHEMA} AND r.${prefix}name !~ ${OURS}`,
  row: ROW,
});
const belonging = (catalog: string, relation: string): Part => ({
  from: `${catalog} r WHERE r.${relation} IN (SELECT u.oid FROM of_user u)`,
  row: ROW,
});

const PARTS: readonly Part[] = [
  { from: `pg_catalog.pg_namespace n WHERE ${USER_SCHEMA}`, row: "n.xmin::text || ' ' || n.ctid::text" },
  { from: "pg_catalog.pg_description r WHERE r.description !~ '^opendts: '", row: ROW },
  ...WHOLE.map((catalog) => ({ from: `pg_catalog.${catalog} r`, row: ROW })),
  {
    from: 'pg_catalog.pg_class r WHERE r.oid IN (SELECT u.oid FROM of_user u)',
    // Not the whole row: it changes with a replica identity.
    row: `pg_catalog.concat_ws(' ', r.oid, r.relname, r.relnamespace, r.reloftype, r.relowner, r.relam, r.relkind, r.relpersistence, r.reltablespace,
            r.relispartition, r.relrowsecurity, r.relforcerowsecurity, r.relacl, r.reloptions)`,
  },
  {
    from: 'pg_catalog.pg_index r WHERE r.indrelid IN (SELECT u.oid FROM of_user u)',
    row: "pg_catalog.concat_ws(' ', r.indexrelid, r.indisunique, r.indisprimary, r.indisclustered, r.indisvalid, r.indkey, r.indoption)",
  },
  belonging('pg_catalog.pg_attribute', 'attrelid'),
  belonging('pg_catalog.pg_attrdef', 'adrelid'),
  belonging('pg_catalog.pg_sequence', 'seqrelid'),
  {
    from: `pg_catalog.pg_constraint r WHERE r.contypid <> 0 OR r.conrelid IN (SELECT u.oid FROM of_user u)`,
    row: ROW,
  },
  named('pg_catalog.pg_type', 'typ'),
  named('pg_catalog.pg_proc', 'pro'),
  { from: 'pg_catalog.pg_roles r', row: 'r::text' },
];

/** For servers from version 10 on. */
export async function fingerprintSchema(session: Session): Promise<string> {
  const sums = PARTS.map(
    ({ from, row }) =>
      `(SELECT count(*)::text || ':' || COALESCE(sum(pg_catalog.hashtext(${row})::bigint), 0)::text FROM ${from})`,
  );
  const { print } = await session.one(
    `WITH of_user AS (${OF_USER}) SELECT pg_catalog.concat_ws(' ', ${sums.join(', ')}) AS print`,
  );
  return print ?? '';
}

/** User objects of kinds that are not created on the target: read so that they can be said by name. */
import type { Session } from '../session.ts';
import type { ObjectKey } from './user-object.ts';

export interface NotMigratedInfo {
  readonly key: ObjectKey;
  /** The server's word: `operator`, `foreign table`, `text search configuration`. */
  readonly kind: string;
  /** Qualified and quoted, with arguments where they tell apart. */
  readonly name: string;
  readonly reason: string;
}

interface Kind {
  readonly catalog: string;
  /** Condition on `o`, the row. */
  readonly where: string;
  readonly reason: string;
}

const LATER = 'this kind of object is not migrated yet; create it on the target yourself';

const KINDS: readonly Kind[] = [
  {
    catalog: 'pg_proc',
    where: `o.prolang IN (SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname IN ('c', 'internal'))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid = o.oid)`,
    reason: 'its code is in a library of the source server',
  },
  // Row types and the array types of others are 'internal' members; what is left are types made of C functions and shells.
  {
    catalog: 'pg_type',
    where:
      "(o.typtype = 'b' AND NOT (o.typelem <> 0 AND o.typlen = -1)) OR (o.typtype = 'p' AND NOT o.typisdefined)",
    reason: 'a base type is made of library functions of the source server',
  },
  { catalog: 'pg_class', where: "o.relkind = 'f'", reason: 'its rows are in another server' },
  {
    catalog: 'pg_class',
    where: "o.relpersistence = 't' AND o.relkind IN ('r', 'p')",
    reason: 'a temporary table belongs to one session',
  },
  { catalog: 'pg_event_trigger', where: "o.evtname !~ '^dts_capture_'", reason: LATER },
  { catalog: 'pg_operator', where: 'true', reason: LATER },
  { catalog: 'pg_opclass', where: 'true', reason: LATER },
  {
    catalog: 'pg_opfamily',
    where: 'NOT EXISTS (SELECT FROM pg_catalog.pg_opclass p WHERE p.opcfamily = o.oid)',
    reason: LATER,
  },
  { catalog: 'pg_cast', where: 'true', reason: LATER },
  { catalog: 'pg_collation', where: 'true', reason: LATER },
  { catalog: 'pg_conversion', where: 'true', reason: LATER },
  { catalog: 'pg_ts_config', where: 'true', reason: LATER },
  { catalog: 'pg_ts_dict', where: 'true', reason: LATER },
  { catalog: 'pg_ts_parser', where: 'true', reason: LATER },
  { catalog: 'pg_ts_template', where: 'true', reason: LATER },
  { catalog: 'pg_statistic_ext', where: 'true', reason: LATER },
  { catalog: 'pg_policy', where: 'true', reason: `row security is not switched on; ${LATER}` },
  { catalog: 'pg_language', where: 'true', reason: LATER },
  { catalog: 'pg_am', where: 'true', reason: LATER },
  { catalog: 'pg_transform', where: 'true', reason: LATER },
  { catalog: 'pg_foreign_data_wrapper', where: 'true', reason: LATER },
  { catalog: 'pg_foreign_server', where: 'true', reason: LATER },
  { catalog: 'pg_publication', where: "o.pubname !~ '^dts_'", reason: LATER },
];

/** One statement for all kinds. Members of extensions and of other objects are not listed: they come with those. */
export async function readNotMigrated(session: Session): Promise<NotMigratedInfo[]> {
  const found = KINDS.map(
    ({ catalog, where }, kind) => `
      SELECT ${kind} AS kind, 'pg_catalog.${catalog}'::pg_catalog.regclass::pg_catalog.oid AS class, '${catalog}' AS catalog, o.oid
        FROM pg_catalog.${catalog} o WHERE o.oid >= 16384 AND (${where})`,
  ).join(' UNION ALL ');
  const rows = await session.query<{ key: string; type: string; name: string; kind: string }>(`
    SELECT f.catalog || ':' || f.oid AS key, i.type, i.identity AS name, f.kind::text AS kind
      FROM (${found}) f, LATERAL pg_catalog.pg_identify_object(f.class, f.oid, 0) i
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend x
                        WHERE x.classid = f.class AND x.objid = f.oid AND x.deptype IN ('e', 'i'))
       AND coalesce(i.schema, '') NOT IN ('_opendts', 'information_schema', 'pg_toast')
     ORDER BY i.type, i.identity`);
  return rows.map((row) => ({
    key: row.key,
    kind: row.type,
    name: row.name,
    reason: KINDS[Number(row.kind)]?.reason ?? LATER,
  }));
}

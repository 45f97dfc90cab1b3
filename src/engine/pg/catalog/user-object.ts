/** Which objects are the user's own: not the server's, not an extension's, not ours. SQL fragments for the readers of this folder. */

/** `pg_class:16412`: one object of one catalog, the same form in every reader so that dependencies join them. */
export type ObjectKey = string;

/** Condition on `n` (pg_namespace). */
export const USER_SCHEMA = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> '_opendts'`;

/** Condition on `n` (pg_namespace) and `name`: not the function behind our event triggers in a source. */
export function isUserFunction(name: string): string {
  return `NOT (n.nspname = 'public' AND ${name} = 'dts_capture_ddl')`;
}

/** Condition: the row `alias` of `catalog` neither came with an extension nor belongs inside another object. */
export function standsAlone(catalog: string, alias: string): string {
  return `NOT EXISTS (SELECT FROM pg_catalog.pg_depend x
     WHERE x.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass AND x.objid = ${alias}.oid AND x.deptype IN ('e', 'i'))`;
}

/** Expression: the qualified, quoted name of collation `oid` when it is not the one its type has anyway, else NULL. */
export function collationName(oid: string, typeDefault: string): string {
  return `(SELECT pg_catalog.quote_ident(ln.nspname) || '.' || pg_catalog.quote_ident(l.collname)
     FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace
    WHERE l.oid = ${oid} AND ${oid} <> ${typeDefault})`;
}

/** Expression: the qualified, quoted name of function `oid`, NULL for 0. */
export function functionName(oid: string): string {
  return `(SELECT pg_catalog.quote_ident(fn.nspname) || '.' || pg_catalog.quote_ident(f.proname)
     FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace fn ON fn.oid = f.pronamespace WHERE f.oid = ${oid})`;
}

/** Expression: the storage of column `a` of type `t` when it is not the type's own, else NULL. */
export function columnStorage(a: string, t: string): string {
  return `CASE WHEN ${a}.attstorage <> ${t}.typstorage THEN
    CASE ${a}.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END`;
}

/** Expression: the compression of column `a`, since PostgreSQL 14. */
export function columnCompression(version: number, a: string): string {
  return version >= 140_000
    ? `CASE ${a}.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END`
    : 'NULL';
}

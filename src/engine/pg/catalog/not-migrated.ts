/** User objects of kinds that are not created on the target: read so that they can be said by name. */
import type { Session } from '../session.ts';
import { readRightsElsewhere } from './rights/rights-elsewhere.ts';
import type { ObjectKey } from './user-object.ts';

export interface NotMigratedInfo {
  readonly key: ObjectKey;
  /** The server's word: `operator`, `foreign table`, `text search configuration`. */
  readonly kind: string;
  /** Qualified and quoted, with arguments where they tell apart. */
  readonly name: string;
  readonly reason: string;
  /** Only what needs it is worth a line in reports, with `reason` behind its name. */
  readonly isQuiet?: true;
}

interface Kind {
  readonly catalog: string;
  /** Condition on `o`, the row. */
  readonly where: string;
  readonly reason: string;
  /** Expression over `o`: the statement that would make it. */
  readonly statement?: string;
}

const OF_A_LIBRARY = 'its code is in a library of the source server';

const EVENT_TRIGGER = `'CREATE EVENT TRIGGER ' || pg_catalog.quote_ident(o.evtname) || ' ON ' || o.evtevent
  || coalesce(' WHEN TAG IN (' || (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(t.tag), ', ') FROM pg_catalog.unnest(o.evttags) t(tag)) || ')', '')
  || ' EXECUTE PROCEDURE ' || o.evtfoid::pg_catalog.oid::pg_catalog.regprocedure`;

const KINDS: readonly Kind[] = [
  {
    catalog: 'pg_proc',
    where: `o.prolang IN (SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname IN ('c', 'internal'))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid = o.oid)`,
    reason: OF_A_LIBRARY,
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
  {
    catalog: 'pg_event_trigger',
    where: "o.evtname !~ '^dts_capture_'",
    reason:
      'it would act on what the migration does on the target, and takes a superuser; once that is over, run',
    statement: EVENT_TRIGGER,
  },
  { catalog: 'pg_ts_parser', where: 'true', reason: OF_A_LIBRARY },
  { catalog: 'pg_ts_template', where: 'true', reason: OF_A_LIBRARY },
  { catalog: 'pg_language', where: 'true', reason: OF_A_LIBRARY },
  { catalog: 'pg_am', where: 'true', reason: OF_A_LIBRARY },
  { catalog: 'pg_transform', where: 'true', reason: 'it is made of library functions of the source server' },
  {
    catalog: 'pg_foreign_data_wrapper',
    where: 'true',
    reason: 'it leads to other servers, with passwords that cannot be read',
  },
  {
    catalog: 'pg_foreign_server',
    where: 'true',
    reason: 'it leads to another server, with passwords that cannot be read',
  },
  {
    catalog: 'pg_publication',
    where: "o.pubname !~ '^dts_'",
    reason: 'its subscribers follow the source; what the target publishes is for you to decide',
  },
];

/** One statement for all kinds. Members of extensions and of other objects are not listed: they come with those. */
export async function readNotMigrated(session: Session): Promise<NotMigratedInfo[]> {
  const found = KINDS.map(
    ({ catalog, where, statement }, kind) => `
      SELECT ${kind} AS kind, 'pg_catalog.${catalog}'::pg_catalog.regclass::pg_catalog.oid AS class, '${catalog}' AS catalog, o.oid,
             ${statement ?? 'NULL::text'} AS statement
        FROM pg_catalog.${catalog} o WHERE o.oid >= 16384 AND (${where})`,
  ).join(' UNION ALL ');
  const rows = await session.query<{
    key: string;
    type: string;
    name: string;
    kind: string;
    statement: string | null;
  }>(`
    SELECT f.catalog || ':' || f.oid AS key, i.type, i.identity AS name, f.kind::text AS kind, f.statement
      FROM (${found}) f, LATERAL pg_catalog.pg_identify_object(f.class, f.oid, 0) i
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend x
                        WHERE x.classid = f.class AND x.objid = f.oid AND x.deptype IN ('e', 'i'))
       AND coalesce(i.schema, '') NOT IN ('_opendts', 'information_schema', 'pg_toast')
     ORDER BY i.type, i.identity`);
  return [
    ...rows.map(described),
    ...(await readSecurityLabels(session)),
    ...(await readRightsElsewhere(session)),
  ];
}

function described(row: {
  key: string;
  type: string;
  name: string;
  kind: string;
  statement: string | null;
}): NotMigratedInfo {
  const reason = KINDS[Number(row.kind)]?.reason ?? OF_A_LIBRARY;
  return {
    key: row.key,
    kind: row.type,
    name: row.name,
    reason: row.statement === null ? reason : `${reason}: ${row.statement}`,
  };
}

async function readSecurityLabels(session: Session): Promise<NotMigratedInfo[]> {
  const rows = await session.query<{ key: string; provider: string; type: string; name: string }>(`
    SELECT 'pg_seclabel:' || l.classoid || ':' || l.objoid || ':' || l.objsubid || ':' || l.provider AS key, l.provider, i.type, i.identity AS name
      FROM pg_catalog.pg_seclabel l, LATERAL pg_catalog.pg_identify_object(l.classoid, l.objoid, l.objsubid) i
     WHERE l.objoid >= 16384 ORDER BY l.provider, i.type, i.identity`);
  return rows.map(({ key, provider, type, name }) => ({
    key,
    kind: 'security label',
    name: `of ${provider} on ${type} ${name}`,
    reason: 'only its provider, loaded on the target, can set it',
  }));
}

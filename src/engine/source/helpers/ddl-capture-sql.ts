/**
 * The function behind the event triggers. It runs with its owner's rights in every session that does DDL, so all names in it are
 * qualified and its search_path is fixed. A command is one row; `objects` tells what it was about:
 *
 *   type, identity    in the server's words: `table column`, `public.orders.total`
 *   table             the table concerned, also of an index, a constraint, a trigger, a rule, a policy: oid, schema, name; null for none.
 *                     Under ALTER TABLE each of its partitions, and of the tables that inherit from it, has an entry too
 *   columns           of that table, as they are behind the command: [attnum, name, type, not null, more]; null when it was dropped.
 *                     `more` holds what is not so of most columns; none of it depends on a setting of the user's session
 *
 * A command that only drops parts of a table (ALTER TABLE … DROP COLUMN) fires both events; the row of its end says it all.
 */
import { columnFacts } from '../../pg/catalog/tables/column-facts.ts';
import { literal } from '../../pg/ident.ts';
import { DDL_COMMAND, HEARTBEAT } from './helper-tables.ts';

/** Characters of the command's text that are kept: one message may hold a whole script. */
const TEXT_LIMIT = 10_000;

/** What changes neither a table's shape nor its rows; refreshes and reindexing are somebody's nightly job. */
const IGNORED =
  'GRANT,REVOKE,ALTER DEFAULT PRIVILEGES,COMMENT,SECURITY LABEL,REFRESH MATERIALIZED VIEW,REINDEX,CREATE PUBLICATION,ALTER PUBLICATION,DROP PUBLICATION'.split(
    ',',
  );

const list = (texts: readonly string[]) => texts.map(literal).join(', ');
const HELPERS = list([HEARTBEAT.name, DDL_COMMAND.name]);

/**
 * The value that rows from before have in an attribute `a`, as text: of types whose text depends on no setting of the session. JSON writes
 * dates and times as ISO does.
 */
function valueOf(version: number): string {
  if (version < 110_000) return 'NULL::text';
  const plain = '16, 19, 20, 21, 23, 25, 114, 1042, 1043, 1700, 2950, 3802';
  const element = '(SELECT y.typelem FROM pg_catalog.pg_type y WHERE y.oid = a.atttypid AND y.typlen = -1)';
  const isEnum = "EXISTS (SELECT FROM pg_catalog.pg_type y WHERE y.oid = a.atttypid AND y.typtype = 'e')";
  return `CASE WHEN NOT a.atthasmissing THEN NULL
      WHEN a.atttypid IN (${plain}, 1082, 1114, 1184) OR ${isEnum} THEN pg_catalog.array_to_json(a.attmissingval) ->> 0
      WHEN ${element} IN (${plain}) THEN (a.attmissingval::text::text[])[1] END`;
}

/** A JSON object of an attribute `a`. */
function moreOf(version: number): string {
  const { generated, identity, hasMissing, hasDefault, collation } = columnFacts(version);
  return `pg_catalog.json_strip_nulls(pg_catalog.json_build_object('oid', a.atttypid::pg_catalog.int8, 'mod', a.atttypmod,
    'generated', nullif(${generated}, ''), 'identity', nullif(${identity}, ''), 'missing', nullif(${hasMissing}, false),
    'default', nullif(${hasDefault}, false), 'collation', ${collation}, 'value', ${valueOf(version)}))`;
}

/** Of an object `o` (type, identity) and its table `t` (oid, schema, name). */
const objectsOf = (
  version: number,
) => `pg_catalog.json_agg(pg_catalog.json_build_object('type', o.object_type, 'identity', o.object_identity,
      'table', CASE WHEN t.oid IS NOT NULL THEN pg_catalog.json_build_object('oid', t.oid, 'schema', t.schema, 'name', t.name) END,
      'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attname,
                           pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, ${moreOf(version)}) ORDER BY a.attnum)
                    FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped)))`;
const TABLES = `SELECT c.oid, n.nspname AS schema, c.relname AS name
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')`;
const NOT_A_HELPER = `NOT (coalesce(t.schema, '') = 'public' AND coalesce(t.name, '') IN (${HELPERS}))
       AND coalesce(o.object_identity, '') <> 'public.dts_capture_ddl()'`;

/** What stands between the quotes of the function. */
export function captureSource(version: number): string {
  return `
DECLARE
  objects pg_catalog.json;
  stack text;
BEGIN
  IF TG_TAG IN (${list(IGNORED)}) THEN RETURN; END IF;
  IF TG_EVENT = 'sql_drop' THEN
    IF TG_TAG NOT LIKE 'DROP %' THEN RETURN; END IF;
    SELECT ${objectsOf(version)} INTO objects
      FROM pg_catalog.pg_event_trigger_dropped_objects() o
      LEFT JOIN LATERAL (
        SELECT o.objid AS oid, o.address_names[1] AS schema, o.address_names[2] AS name
         WHERE o.object_type IN ('table', 'table column')
        UNION ALL ${TABLES} AND n.nspname = o.address_names[1] AND c.relname = o.address_names[2]
           AND o.object_type IN ('table constraint', 'trigger', 'rule', 'policy')) t ON true
     WHERE (o.original OR o.object_type IN ('table', 'table column')) AND NOT o.is_temporary AND ${NOT_A_HELPER};
  ELSE
    SELECT ${objectsOf(version)} INTO objects
      FROM pg_catalog.pg_event_trigger_ddl_commands() o
      LEFT JOIN LATERAL (WITH RECURSIVE tree(oid) AS (SELECT CASE o.classid
           WHEN 'pg_catalog.pg_class'::pg_catalog.regclass
             THEN coalesce((SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indexrelid = o.objid), o.objid)
           WHEN 'pg_catalog.pg_constraint'::pg_catalog.regclass
             THEN (SELECT x.conrelid FROM pg_catalog.pg_constraint x WHERE x.oid = o.objid)
           WHEN 'pg_catalog.pg_trigger'::pg_catalog.regclass THEN (SELECT x.tgrelid FROM pg_catalog.pg_trigger x WHERE x.oid = o.objid)
           WHEN 'pg_catalog.pg_rewrite'::pg_catalog.regclass THEN (SELECT x.ev_class FROM pg_catalog.pg_rewrite x WHERE x.oid = o.objid)
           WHEN 'pg_catalog.pg_policy'::pg_catalog.regclass THEN (SELECT x.polrelid FROM pg_catalog.pg_policy x WHERE x.oid = o.objid)
           END
          UNION SELECT h.inhrelid FROM pg_catalog.pg_inherits h JOIN tree r ON h.inhparent = r.oid WHERE TG_TAG = 'ALTER TABLE')
        ${TABLES} AND c.oid IN (SELECT tree.oid FROM tree)) t ON true
     WHERE NOT o.in_extension AND coalesce(o.schema_name, '') <> 'pg_temp' AND ${NOT_A_HELPER};
  END IF;
  IF objects IS NULL THEN RETURN; END IF;
  GET DIAGNOSTICS stack = PG_CONTEXT;
  INSERT INTO public.dts_ddl_command (event, tag, ddl_text, is_cut, is_nested, objects, username, event_time, txid_current)
  VALUES (TG_EVENT, TG_TAG, pg_catalog.left(pg_catalog.current_query(), ${TEXT_LIMIT}),
          coalesce(pg_catalog.length(pg_catalog.current_query()) > ${TEXT_LIMIT}, false),
          pg_catalog.strpos(stack, E'\\n') > 0, objects, session_user, pg_catalog.clock_timestamp(), pg_catalog.txid_current());
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'opendts could not record this command for a running migration: %', SQLERRM;
END `;
}

export function captureFunctionSql(version: number): string {
  return `CREATE OR REPLACE FUNCTION public.dts_capture_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $dts$${captureSource(version)}$dts$`;
}

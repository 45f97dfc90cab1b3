/**
 * The function behind the event triggers. It runs with its owner's rights in every session that does DDL, so all names in it are
 * qualified and its search_path is fixed. A command is one row; `objects` tells what it was about:
 *
 *   type, identity    in the server's words: `table column`, `public.orders.total`
 *   table             the table concerned, also of an index, a constraint, a trigger, a rule, a policy: oid, schema, name; null for none
 *   columns           of that table, as they are behind the command: [attnum, name, type, not null]; null when it was dropped
 *
 * A command that only drops parts of a table (ALTER TABLE … DROP COLUMN) fires both events; the row of its end says it all.
 */
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

/** Of an object `o` (type, identity) and its table `t` (oid, schema, name). */
const OBJECTS = `pg_catalog.json_agg(pg_catalog.json_build_object('type', o.object_type, 'identity', o.object_identity,
      'table', CASE WHEN t.oid IS NOT NULL THEN pg_catalog.json_build_object('oid', t.oid, 'schema', t.schema, 'name', t.name) END,
      'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attname,
                           pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull) ORDER BY a.attnum)
                    FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped)))`;
const TABLES = `SELECT c.oid, n.nspname AS schema, c.relname AS name
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')`;
const NOT_A_HELPER = `NOT (coalesce(t.schema, '') = 'public' AND coalesce(t.name, '') IN (${HELPERS}))
       AND coalesce(o.object_identity, '') <> 'public.dts_capture_ddl()'`;

export const captureFunctionSql = `
CREATE FUNCTION public.dts_capture_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $dts$
DECLARE
  objects pg_catalog.json;
  stack text;
BEGIN
  IF TG_TAG IN (${list(IGNORED)}) THEN RETURN; END IF;
  IF TG_EVENT = 'sql_drop' THEN
    IF TG_TAG NOT LIKE 'DROP %' THEN RETURN; END IF;
    SELECT ${OBJECTS} INTO objects
      FROM pg_catalog.pg_event_trigger_dropped_objects() o
      LEFT JOIN LATERAL (
        SELECT o.objid AS oid, o.address_names[1] AS schema, o.address_names[2] AS name
         WHERE o.object_type IN ('table', 'table column')
        UNION ALL ${TABLES} AND n.nspname = o.address_names[1] AND c.relname = o.address_names[2]
           AND o.object_type IN ('table constraint', 'trigger', 'rule', 'policy')) t ON true
     WHERE (o.original OR o.object_type IN ('table', 'table column')) AND NOT o.is_temporary AND ${NOT_A_HELPER};
  ELSE
    SELECT ${OBJECTS} INTO objects
      FROM pg_catalog.pg_event_trigger_ddl_commands() o
      LEFT JOIN LATERAL (${TABLES} AND c.oid = CASE o.classid
           WHEN 'pg_catalog.pg_class'::pg_catalog.regclass
             THEN coalesce((SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indexrelid = o.objid), o.objid)
           WHEN 'pg_catalog.pg_constraint'::pg_catalog.regclass
             THEN (SELECT x.conrelid FROM pg_catalog.pg_constraint x WHERE x.oid = o.objid)
           WHEN 'pg_catalog.pg_trigger'::pg_catalog.regclass THEN (SELECT x.tgrelid FROM pg_catalog.pg_trigger x WHERE x.oid = o.objid)
           WHEN 'pg_catalog.pg_rewrite'::pg_catalog.regclass THEN (SELECT x.ev_class FROM pg_catalog.pg_rewrite x WHERE x.oid = o.objid)
           WHEN 'pg_catalog.pg_policy'::pg_catalog.regclass THEN (SELECT x.polrelid FROM pg_catalog.pg_policy x WHERE x.oid = o.objid)
         END) t ON true
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
END $dts$`;

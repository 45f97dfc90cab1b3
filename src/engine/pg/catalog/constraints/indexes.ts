/** Indexes of tables and materialized views, those of constraints among them. */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Row, Session } from '../../session.ts';
import { USER_RELATION } from '../tables/tables.ts';
import { listOf, sharedTexts } from '../shared.ts';
import { type ObjectKey } from '../user-object.ts';

export interface IndexInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly table: ObjectKey;
  /** On a partitioned table: `CREATE INDEX … ON ONLY …`. */
  readonly definition: string;
  readonly isPartitioned: boolean;
  /** The partitioned index this one is attached to. */
  readonly parent: ObjectKey | null;
  /** False after a failed CREATE INDEX CONCURRENTLY. */
  readonly valid: boolean;
  readonly clustered: boolean;
  readonly replicaIdentity: boolean;
  readonly nullsNotDistinct: boolean;
  readonly hasIncluded: boolean;
  readonly options: readonly string[];
  /** The options as they stand in the definition: `fillfactor='70', …`; empty without. */
  readonly optionTexts: readonly string[];
  readonly method: string;
  /** An operator class with parameters, since PostgreSQL 13. */
  readonly hasClassOptions: boolean;
  /** Statistics targets of expression columns, by position. */
  readonly statistics: readonly { readonly position: number; readonly target: number }[];
}

interface IndexRow extends Row {
  readonly key: string;
  readonly table_key: string;
  readonly schema: string;
  readonly name: string;
  readonly definition: string;
  readonly is_partitioned: string;
  readonly parent: string | null;
  readonly valid: string;
  readonly clustered: string;
  readonly replica_identity: string;
  readonly nulls_not_distinct: string;
  readonly has_included: string;
  readonly options: string | null;
  readonly option_texts: string;
  readonly method: string;
  readonly has_class_options: string;
  readonly statistics: string;
}

export function readIndexes(session: Session, text = sharedTexts()): Promise<IndexInfo[]> {
  const sql = `
    SELECT 'pg_class:' || x.oid AS key, 'pg_class:' || i.indrelid AS table_key, n.nspname AS schema, x.relname AS name,
           pg_catalog.pg_get_indexdef(x.oid) AS definition, (x.relkind = 'I')::text AS is_partitioned,
           (SELECT 'pg_class:' || h.inhparent FROM pg_catalog.pg_inherits h WHERE h.inhrelid = x.oid) AS parent,
           i.indisvalid::text AS valid, i.indisclustered::text AS clustered, i.indisreplident::text AS replica_identity,
           ${session.version >= 150_000 ? 'i.indnullsnotdistinct::text' : "'false'"} AS nulls_not_distinct,
           ${session.version >= 110_000 ? '(i.indnkeyatts < i.indnatts)::text' : "'false'"} AS has_included,
           pg_catalog.array_to_json(x.reloptions)::text AS options,
           pg_catalog.array_to_json(ARRAY(SELECT pg_catalog.quote_ident(o.name) || '=' || CASE WHEN pg_catalog.quote_ident(o.value) = o.value
              THEN o.value ELSE pg_catalog.quote_literal(o.value) END
              FROM (SELECT pg_catalog.split_part(r.option, '=', 1) AS name, pg_catalog.substr(r.option, pg_catalog.strpos(r.option, '=') + 1) AS value, r.place
                      FROM pg_catalog.unnest(x.reloptions) WITH ORDINALITY r(option, place)) o ORDER BY o.place))::text AS option_texts,
           m.amname AS method, ${
             session.version >= 130_000
               ? '(SELECT count(*) > 0 FROM pg_catalog.pg_attribute a WHERE a.attrelid = x.oid AND a.attoptions IS NOT NULL)::text'
               : "'false'"
           } AS has_class_options,
           coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('position', a.attnum, 'target', a.attstattarget) ORDER BY a.attnum)
                       FROM pg_catalog.pg_attribute a WHERE a.attrelid = x.oid AND a.attstattarget >= 0), '[]')::text AS statistics
      FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = x.relam
      JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND ${USER_RELATION}
     ORDER BY n.nspname, c.relname, x.relname`;
  return session.map(sql, indexInfo, { text });
}

function indexInfo(row: IndexRow): IndexInfo {
  return {
    key: row.key,
    table: row.table_key,
    schema: row.schema,
    name: row.name,
    definition: row.definition,
    isPartitioned: row.is_partitioned === 'true',
    parent: row.parent,
    valid: row.valid === 'true',
    clustered: row.clustered === 'true',
    replicaIdentity: row.replica_identity === 'true',
    nullsNotDistinct: row.nulls_not_distinct === 'true',
    hasIncluded: row.has_included === 'true',
    options: listOf(row.options),
    optionTexts: listOf(row.option_texts),
    method: row.method,
    hasClassOptions: row.has_class_options === 'true',
    // Before PostgreSQL 11 an index column has a target of its own only by accident of an upgrade.
    statistics: listOf(row.statistics),
  };
}

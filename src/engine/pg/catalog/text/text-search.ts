/** Dictionaries and configurations of text search. Parsers and templates are made of library functions: see not-migrated.ts. */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { standsAlone, USER_SCHEMA, type ObjectKey } from '../user-object.ts';

export interface DictionaryInfo extends QualifiedName {
  readonly key: ObjectKey;
  /** Qualified and quoted. */
  readonly template: string;
  /** As the server writes them: `language = 'german', stopwords = 'german'`. */
  readonly options: string | null;
}

export interface TextConfigurationInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly parser: string;
  /** Kinds of token with the dictionaries they go through, in order. */
  readonly mappings: readonly { readonly token: string; readonly dictionaries: readonly string[] }[];
}

export interface TextSearch {
  readonly dictionaries: readonly DictionaryInfo[];
  readonly configurations: readonly TextConfigurationInfo[];
}

export async function readTextSearch(session: Session): Promise<TextSearch> {
  const dictionaries = await session.query<{
    key: string;
    schema: string;
    name: string;
    template: string;
    options: string | null;
  }>(`
    SELECT 'pg_ts_dict:' || d.oid AS key, n.nspname AS schema, d.dictname AS name, d.dictinitoption AS options,
           pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.tmplname) AS template
      FROM pg_catalog.pg_ts_dict d JOIN pg_catalog.pg_namespace n ON n.oid = d.dictnamespace
      JOIN pg_catalog.pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_catalog.pg_namespace tn ON tn.oid = t.tmplnamespace
     WHERE ${USER_SCHEMA} AND ${standsAlone('pg_ts_dict', 'd')} ORDER BY n.nspname, d.dictname`);
  const configurations = await session.query<{
    key: string;
    schema: string;
    name: string;
    parser: string;
    mappings: string;
  }>(`
    SELECT 'pg_ts_config:' || c.oid AS key, n.nspname AS schema, c.cfgname AS name,
           pg_catalog.quote_ident(pn.nspname) || '.' || pg_catalog.quote_ident(p.prsname) AS parser,
           coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('token', m.alias, 'dictionaries', m.dictionaries) ORDER BY m.tokid)
              FROM (SELECT t.tokid, t.alias, pg_catalog.json_agg(pg_catalog.quote_ident(dn.nspname) || '.' || pg_catalog.quote_ident(d.dictname)
                             ORDER BY u.mapseqno) AS dictionaries
                      FROM pg_catalog.ts_token_type(c.cfgparser) t
                      JOIN pg_catalog.pg_ts_config_map u ON u.mapcfg = c.oid AND u.maptokentype = t.tokid
                      JOIN pg_catalog.pg_ts_dict d ON d.oid = u.mapdict JOIN pg_catalog.pg_namespace dn ON dn.oid = d.dictnamespace
                     GROUP BY t.tokid, t.alias) m), '[]')::text AS mappings
      FROM pg_catalog.pg_ts_config c JOIN pg_catalog.pg_namespace n ON n.oid = c.cfgnamespace
      JOIN pg_catalog.pg_ts_parser p ON p.oid = c.cfgparser JOIN pg_catalog.pg_namespace pn ON pn.oid = p.prsnamespace
     WHERE ${USER_SCHEMA} AND ${standsAlone('pg_ts_config', 'c')} ORDER BY n.nspname, c.cfgname`);
  return {
    dictionaries,
    configurations: configurations.map((row) => {
      const mappings: TextConfigurationInfo['mappings'] = JSON.parse(row.mappings);
      return { key: row.key, schema: row.schema, name: row.name, parser: row.parser, mappings };
    }),
  };
}

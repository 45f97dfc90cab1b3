/** Aggregate functions, from which CREATE AGGREGATE is written (the server has no function that does it). */
import type { QualifiedName } from '../../change/relation.ts';
import type { Session } from '../session.ts';
import { functionName, standsAlone, USER_SCHEMA, type ObjectKey } from './user-object.ts';

export interface AggregateInfo extends QualifiedName {
  readonly key: ObjectKey;
  /** As in CREATE AGGREGATE: `integer`, `double precision ORDER BY text`, `*`. */
  readonly arguments: string;
  /** As in COMMENT ON AGGREGATE, without defaults. */
  readonly identityArguments: string;
  /** Ready parameters in order: `SFUNC = pg_catalog.int4pl`. */
  readonly parameters: readonly string[];
}

const MODIFY = (column: string) =>
  `CASE ${column} WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END`;

/** Parameter name → SQL expression of its text, NULL where it is not given. The order is that of the manual. */
const PARAMETERS = (version: number): Readonly<Record<string, string>> => ({
  SFUNC: functionName('a.aggtransfn::pg_catalog.oid'),
  STYPE: 'pg_catalog.format_type(a.aggtranstype, NULL)',
  SSPACE: 'nullif(a.aggtransspace, 0)::text',
  FINALFUNC: functionName('a.aggfinalfn::pg_catalog.oid'),
  FINALFUNC_EXTRA: "CASE WHEN a.aggfinalextra THEN 'true' END",
  FINALFUNC_MODIFY:
    version >= 110_000 ? `CASE WHEN a.aggfinalfn <> 0 THEN ${MODIFY('a.aggfinalmodify')} END` : 'NULL',
  COMBINEFUNC: functionName('a.aggcombinefn::pg_catalog.oid'),
  SERIALFUNC: functionName('a.aggserialfn::pg_catalog.oid'),
  DESERIALFUNC: functionName('a.aggdeserialfn::pg_catalog.oid'),
  INITCOND: 'pg_catalog.quote_literal(a.agginitval)',
  MSFUNC: functionName('a.aggmtransfn::pg_catalog.oid'),
  MINVFUNC: functionName('a.aggminvtransfn::pg_catalog.oid'),
  MSTYPE: 'CASE WHEN a.aggmtranstype <> 0 THEN pg_catalog.format_type(a.aggmtranstype, NULL) END',
  MSSPACE: 'nullif(a.aggmtransspace, 0)::text',
  MFINALFUNC: functionName('a.aggmfinalfn::pg_catalog.oid'),
  MFINALFUNC_EXTRA: "CASE WHEN a.aggmfinalextra THEN 'true' END",
  MFINALFUNC_MODIFY:
    version >= 110_000 ? `CASE WHEN a.aggmfinalfn <> 0 THEN ${MODIFY('a.aggmfinalmodify')} END` : 'NULL',
  MINITCOND: 'pg_catalog.quote_literal(a.aggminitval)',
  SORTOP: `(SELECT 'OPERATOR(' || pg_catalog.quote_ident(so.nspname) || '.' || o.oprname || ')'
              FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace so ON so.oid = o.oprnamespace WHERE o.oid = a.aggsortop)`,
  PARALLEL: "CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' END",
});

export async function readAggregates(session: Session): Promise<AggregateInfo[]> {
  const parameters = Object.entries(PARAMETERS(session.version));
  const rows = await session.query<{
    key: string;
    schema: string;
    name: string;
    arguments: string;
    identity_arguments: string;
    hypothetical: string;
    parameters: string;
  }>(`
    SELECT 'pg_proc:' || p.oid AS key, n.nspname AS schema, p.proname AS name,
           pg_catalog.pg_get_function_arguments(p.oid) AS arguments,
           pg_catalog.pg_get_function_identity_arguments(p.oid) AS identity_arguments,
           (a.aggkind = 'h')::text AS hypothetical,
           pg_catalog.json_build_array(${parameters.map(([, sql]) => sql).join(', ')})::text AS parameters
      FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE ${USER_SCHEMA} AND ${standsAlone('pg_proc', 'p')}
     ORDER BY n.nspname, p.proname, identity_arguments`);
  return rows.map((row) => {
    const values: (string | null)[] = JSON.parse(row.parameters);
    const given = parameters.flatMap(([name], position) => {
      const value = values[position] ?? null;
      return value === null ? [] : [`${name} = ${value}`];
    });
    return {
      key: row.key,
      schema: row.schema,
      name: row.name,
      arguments: row.arguments || '*',
      identityArguments: row.identity_arguments || '*',
      parameters: row.hypothetical === 'true' ? [...given, 'HYPOTHETICAL'] : given,
    };
  });
}

/** Casts made by the user; those of range types to their multirange types come with these. */
import type { Session } from '../../session.ts';
import { standsAlone, type ObjectKey } from '../user-object.ts';

export interface CastInfo {
  readonly key: ObjectKey;
  readonly from: string;
  readonly to: string;
  /** `shop.to_code(integer)`, or how it goes without. */
  readonly by: { readonly function: string } | 'inout' | 'binary';
  readonly context: 'explicit' | 'assignment' | 'implicit';
  /** One of the two types is not of the server itself. */
  readonly isOfUserType: boolean;
}

const CONTEXTS: Readonly<Record<string, CastInfo['context']>> = {
  e: 'explicit',
  a: 'assignment',
  i: 'implicit',
};

export async function readCasts(session: Session): Promise<CastInfo[]> {
  const rows = await session.query<{
    key: string;
    from: string;
    to: string;
    function: string | null;
    method: string;
    context: string;
    is_of_user_type: string;
  }>(`
    SELECT 'pg_cast:' || c.oid AS key, pg_catalog.format_type(c.castsource, NULL) AS from, pg_catalog.format_type(c.casttarget, NULL) AS to,
           CASE WHEN c.castfunc <> 0 THEN c.castfunc::pg_catalog.regprocedure::text END AS function, c.castmethod::text AS method,
           c.castcontext::text AS context, (c.castsource >= 16384 OR c.casttarget >= 16384)::text AS is_of_user_type
      FROM pg_catalog.pg_cast c WHERE c.oid >= 16384 AND ${standsAlone('pg_cast', 'c')}
     ORDER BY 2, 3`);
  return rows.map((row) => ({
    key: row.key,
    from: row.from,
    to: row.to,
    by: row.function === null ? (row.method === 'i' ? 'inout' : 'binary') : { function: row.function },
    context: CONTEXTS[row.context] ?? 'explicit',
    isOfUserType: row.is_of_user_type === 'true',
  }));
}

/** Names of what a server has of its own, by which two versions differ. What definitions use of it stands in no catalog of dependencies. */
import type { Session } from '../session.ts';

export interface BuiltinNames {
  readonly functions: ReadonlySet<string>;
  readonly types: ReadonlySet<string>;
  readonly operatorClasses: ReadonlySet<string>;
}

export async function readBuiltinNames(session: Session): Promise<BuiltinNames> {
  const rows = await session.query<{ kind: string; name: string }>(`
    SELECT DISTINCT 'f' AS kind, p.proname::text AS name FROM pg_catalog.pg_proc p
     WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.oid < 16384
     UNION ALL
    SELECT 't', t.typname FROM pg_catalog.pg_type t WHERE t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND t.typrelid = 0 AND t.oid < 16384
       AND (t.typtype <> 'p' OR t.typname LIKE 'any%')
     UNION ALL
    SELECT DISTINCT 'o', o.opcname::text FROM pg_catalog.pg_opclass o
     WHERE o.opcnamespace = 'pg_catalog'::pg_catalog.regnamespace AND o.oid < 16384`);
  const named = (kind: string) => new Set(rows.filter((row) => row.kind === kind).map(({ name }) => name));
  return { functions: named('f'), types: named('t'), operatorClasses: named('o') };
}

/** Operators. One of them may name others as its commutator and negator, which name it in turn. */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { functionName, standsAlone, USER_SCHEMA, type ObjectKey } from '../user-object.ts';

export interface OperatorLink {
  readonly key: ObjectKey;
  /** `OPERATOR(shop.<>)` */
  readonly name: string;
  /** Of the server itself, and so on every target. */
  readonly isBuiltin: boolean;
  /** It names this one in turn; PostgreSQL 17 and newer want that. */
  readonly isMutual: boolean;
}

export interface OperatorInfo extends QualifiedName {
  readonly key: ObjectKey;
  /** Null where there is no such operand. */
  readonly leftType: string | null;
  readonly rightType: string | null;
  /** Qualified and quoted, as those below. */
  readonly function: string;
  readonly commutator: OperatorLink | null;
  readonly negator: OperatorLink | null;
  readonly restrict: string | null;
  readonly join: string | null;
  readonly hashes: boolean;
  readonly merges: boolean;
}

const LINK = (column: string) => `
  (SELECT pg_catalog.json_build_object('key', 'pg_operator:' || l.oid, 'isBuiltin', l.oid < 16384, 'isMutual', l.${column} = o.oid,
            'name', 'OPERATOR(' || pg_catalog.quote_ident(ln.nspname) || '.' || l.oprname || ')')::text
     FROM pg_catalog.pg_operator l JOIN pg_catalog.pg_namespace ln ON ln.oid = l.oprnamespace WHERE l.oid = o.${column})`;

/** Shells, which only the name of an operator has made, are none. */
export async function readOperators(session: Session): Promise<OperatorInfo[]> {
  const rows = await session.query<{
    key: string;
    schema: string;
    name: string;
    left_type: string | null;
    right_type: string | null;
    function: string;
    commutator: string | null;
    negator: string | null;
    restrict: string | null;
    join: string | null;
    hashes: string;
    merges: string;
  }>(`
    SELECT 'pg_operator:' || o.oid AS key, n.nspname AS schema, o.oprname AS name,
           CASE WHEN o.oprleft <> 0 THEN pg_catalog.format_type(o.oprleft, NULL) END AS left_type,
           CASE WHEN o.oprright <> 0 THEN pg_catalog.format_type(o.oprright, NULL) END AS right_type,
           ${functionName('o.oprcode::pg_catalog.oid')} AS function,
           ${LINK('oprcom')} AS commutator, ${LINK('oprnegate')} AS negator,
           ${functionName('o.oprrest::pg_catalog.oid')} AS restrict, ${functionName('o.oprjoin::pg_catalog.oid')} AS join,
           o.oprcanhash::text AS hashes, o.oprcanmerge::text AS merges
      FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
     WHERE o.oprcode <> 0 AND ${USER_SCHEMA} AND ${standsAlone('pg_operator', 'o')}
     ORDER BY n.nspname, o.oprname, left_type, right_type`);
  return rows.map((row) => ({
    key: row.key,
    schema: row.schema,
    name: row.name,
    leftType: row.left_type,
    rightType: row.right_type,
    function: row.function,
    commutator: link(row.commutator),
    negator: link(row.negator),
    restrict: row.restrict,
    join: row.join,
    hashes: row.hashes === 'true',
    merges: row.merges === 'true',
  }));
}

function link(json: string | null): OperatorLink | null {
  const found: OperatorLink | null = json === null ? null : JSON.parse(json);
  return found;
}

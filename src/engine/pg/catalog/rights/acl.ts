/** What an access control list says beyond the server's default for its kind, as SQL for the readers of this folder. */

export interface AclEntry {
  /** Null for PUBLIC. */
  readonly grantee: string | null;
  /** The owner of the object, whoever that is on the target. */
  readonly isOwner: boolean;
  /** `SELECT`, `USAGE`, … */
  readonly privilege: string;
  readonly grantable: boolean;
  /** The default gives it, this list does not. */
  readonly revoked: boolean;
}

/**
 * Expression: the entries that make `acl` of `base`, as JSON. Who granted does not count: the same right from two grantors is one right.
 * Entries of roles that are gone are left out.
 */
export function aclEntries({ acl, base, owner }: { acl: string; base: string; owner: string }): string {
  const rights = (list: string) => `
    SELECT e.grantee, e.privilege_type, pg_catalog.bool_or(e.is_grantable) AS grantable
      FROM pg_catalog.aclexplode(${list}) e GROUP BY e.grantee, e.privilege_type`;
  return `coalesce((
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object('grantee', r.rolname, 'isOwner', x.grantee = ${owner}, 'privilege', x.privilege,
             'grantable', x.grantable, 'revoked', x.revoked) ORDER BY r.rolname NULLS FIRST, x.privilege)
      FROM (SELECT grantee, privilege_type AS privilege, coalesce(a.grantable, false) AS grantable, a.grantable IS NULL AS revoked
              FROM (${rights(acl)}) a FULL JOIN (${rights(base)}) b USING (grantee, privilege_type)
             WHERE a.grantable IS NULL OR b.grantable IS NULL OR (a.grantable AND NOT b.grantable)) x
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
     WHERE x.grantee = 0 OR r.oid IS NOT NULL), '[]')::text`;
}

/** A list that gives nothing; an empty array would be refused. */
export const NOTHING = 'NULL::pg_catalog.aclitem[]';

/** The roles that the database mentions, with what CREATE ROLE can say of them (never a password), and who of them belongs to whom. */
import type { Session } from '../../session.ts';

export interface RoleInfo {
  readonly name: string;
  readonly superuser: boolean;
  readonly login: boolean;
  readonly inherit: boolean;
  readonly createDatabase: boolean;
  readonly createRole: boolean;
  readonly replication: boolean;
  readonly bypassRowSecurity: boolean;
  /** -1: none. */
  readonly connectionLimit: number;
  readonly validUntil: string | null;
}

export interface MembershipInfo {
  readonly group: string;
  readonly member: string;
  readonly admin: boolean;
  /** Since PostgreSQL 16 they belong to the membership; null before. */
  readonly inherit: boolean | null;
  readonly set: boolean | null;
}

/**
 * Query: oids of the roles that own something here, may do something here, are named by a policy, or have settings here. The
 * server keeps no account of its first superuser.
 */
export const MENTIONED_ROLES = `
  SELECT s.refobjid FROM pg_catalog.pg_shdepend s
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
   WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
     AND (s.dbid = d.oid OR (s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = d.oid))
  UNION
  SELECT t.setrole FROM pg_catalog.pg_db_role_setting t
    JOIN pg_catalog.pg_database d ON d.oid = t.setdatabase AND d.datname = pg_catalog.current_database()
  UNION
  SELECT 10::pg_catalog.oid`;

/** Without those that the server has made itself. */
export async function readRoles(session: Session): Promise<RoleInfo[]> {
  const rows = await session.query<{
    name: string;
    super: string;
    login: string;
    inherit: string;
    database: string;
    role: string;
    replication: string;
    bypass: string;
    connections: string;
    until: string | null;
  }>(`
    SELECT r.rolname AS name, r.rolsuper::text AS super, r.rolcanlogin::text AS login, r.rolinherit::text AS inherit,
           r.rolcreatedb::text AS database, r.rolcreaterole::text AS role, r.rolreplication::text AS replication,
           r.rolbypassrls::text AS bypass, r.rolconnlimit::text AS connections, r.rolvaliduntil::text AS until
      FROM pg_catalog.pg_roles r WHERE r.oid IN (${MENTIONED_ROLES}) AND r.rolname !~ '^pg_'
     ORDER BY r.rolname`);
  return rows.map((row) => ({
    name: row.name,
    superuser: row.super === 'true',
    login: row.login === 'true',
    inherit: row.inherit === 'true',
    createDatabase: row.database === 'true',
    createRole: row.role === 'true',
    replication: row.replication === 'true',
    bypassRowSecurity: row.bypass === 'true',
    connectionLimit: Number(row.connections),
    validUntil: row.until,
  }));
}

/** Among these roles; groups of the server's own too. */
export async function readMemberships(session: Session): Promise<MembershipInfo[]> {
  const option = (column: string) =>
    session.version >= 160_000 ? `pg_catalog.bool_or(m.${column})::text` : 'NULL::text';
  const rows = await session.query<{
    group: string;
    member: string;
    admin: string;
    inherit: string | null;
    set: string | null;
  }>(`
    SELECT g.rolname AS group, r.rolname AS member, pg_catalog.bool_or(m.admin_option)::text AS admin,
           ${option('inherit_option')} AS inherit, ${option('set_option')} AS set
      FROM pg_catalog.pg_auth_members m
      JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles r ON r.oid = m.member
     WHERE m.member IN (${MENTIONED_ROLES}) AND (g.rolname ~ '^pg_' OR m.roleid IN (${MENTIONED_ROLES}))
     GROUP BY g.rolname, r.rolname ORDER BY g.rolname, r.rolname`);
  const given = (text: string | null) => (text === null ? null : text === 'true');
  return rows.map(({ group, member, admin, inherit, set }) => ({
    group,
    member,
    admin: admin === 'true',
    inherit: given(inherit),
    set: given(set),
  }));
}

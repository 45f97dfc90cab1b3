/** What the account of the migration may do with owners, rights and roles on the target. */
import type { Session } from '../../pg/session.ts';

export interface RightsFacts {
  /** Who owns what is created. Null where owners are not set but compared: then all are allowed. */
  readonly account: string | null;
  readonly database: string;
  readonly ownsDatabase: boolean;
  readonly mayCreateRoles: boolean;
  /** Roles that the account can give objects to, and may use these for afterwards. */
  readonly becomes: ReadonlySet<string>;
  /** Schemas that others own, with those of `becomes` that may create in them. */
  readonly foreignSchemas: ReadonlyMap<string, ReadonlySet<string>>;
  /** The schema public is the one that every database is made with. */
  readonly hasInitialPublic: boolean;
}

export async function readRightsFacts(target: Session): Promise<RightsFacts> {
  const one = await target.one(
    `SELECT current_user::text AS account, d.datname::text AS database, pg_catalog.pg_has_role(d.datdba, 'USAGE')::text AS owns,
            (r.rolsuper OR r.rolcreaterole)::text AS roles,
            EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public' AND n.oid < 16384)::text AS public
       FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
      WHERE d.datname = pg_catalog.current_database() AND r.rolname = current_user`,
  );
  // Without the second the account could give an object away, and not use it any more.
  const becomes = `pg_catalog.pg_has_role(r.oid, '${target.version >= 160_000 ? 'SET' : 'MEMBER'}') AND pg_catalog.pg_has_role(r.oid, 'USAGE')`;
  const roles = await target.query(`SELECT r.rolname AS name FROM pg_catalog.pg_roles r WHERE ${becomes}`);
  const foreign = await target.query<{ name: string; creators: string }>(
    `SELECT n.nspname AS name, coalesce((SELECT pg_catalog.json_agg(r.rolname) FROM pg_catalog.pg_roles r
              WHERE ${becomes} AND pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE')), '[]')::text AS creators
       FROM pg_catalog.pg_namespace n
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT pg_catalog.pg_has_role(n.nspowner, 'USAGE')`,
  );
  return {
    account: one.account ?? '',
    database: one.database ?? '',
    ownsDatabase: one.owns === 'true',
    mayCreateRoles: one.roles === 'true',
    becomes: new Set(roles.map(({ name }) => name ?? '')),
    foreignSchemas: new Map(
      foreign.map(({ name, creators }) => [name, new Set(JSON.parse(creators) as string[])]),
    ),
    hasInitialPublic: one.public === 'true',
  };
}

/** For comparing: whoever asks, everything can be said. */
export function everyRight(database: string, roles: ReadonlySet<string>): RightsFacts {
  return {
    account: null,
    database,
    ownsDatabase: true,
    mayCreateRoles: true,
    becomes: roles,
    foreignSchemas: new Map(),
    hasInitialPublic: true,
  };
}

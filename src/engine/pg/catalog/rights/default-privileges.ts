/** Default privileges: what a role grants on each object that it will create. */
import type { Session } from '../../session.ts';
import type { ObjectKey } from '../user-object.ts';
import { aclEntries, NOTHING, type AclEntry } from './acl.ts';

export interface DefaultPrivilegesInfo {
  readonly role: string;
  /** Null: in every schema. These replace the server's default, those of a schema are added to it. */
  readonly schema: ObjectKey | null;
  /** As ALTER DEFAULT PRIVILEGES names them. */
  readonly kind: string;
  readonly entries: readonly AclEntry[];
}

/** Letter of pg_default_acl → how acldefault() and ALTER DEFAULT PRIVILEGES call it. */
const KINDS: Readonly<Record<string, { readonly letter: string; readonly name: string }>> = {
  r: { letter: 'r', name: 'TABLES' },
  S: { letter: 's', name: 'SEQUENCES' },
  f: { letter: 'f', name: 'FUNCTIONS' },
  T: { letter: 'T', name: 'TYPES' },
  n: { letter: 'n', name: 'SCHEMAS' },
  L: { letter: 'L', name: 'LARGE OBJECTS' },
};

export async function readDefaultPrivileges(session: Session): Promise<DefaultPrivilegesInfo[]> {
  const letter = Object.entries(KINDS).map(([from, to]) => `WHEN '${from}' THEN '${to.letter}'`);
  const base = `CASE d.defaclnamespace WHEN 0
    THEN pg_catalog.acldefault((CASE d.defaclobjtype ${letter.join(' ')} END)::"char", d.defaclrole) ELSE ${NOTHING} END`;
  const rows = await session.query<{ role: string; schema: string | null; kind: string; entries: string }>(`
    SELECT r.rolname AS role, CASE WHEN d.defaclnamespace <> 0 THEN 'pg_namespace:' || d.defaclnamespace END AS schema,
           d.defaclobjtype::text AS kind, ${aclEntries({ acl: 'd.defaclacl', base, owner: 'd.defaclrole' })} AS entries
      FROM pg_catalog.pg_default_acl d JOIN pg_catalog.pg_roles r ON r.oid = d.defaclrole
      LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
     ORDER BY r.rolname, n.nspname NULLS FIRST, d.defaclobjtype`);
  return rows.flatMap(({ role, schema, kind, entries }) => {
    const name = KINDS[kind]?.name;
    return name === undefined
      ? []
      : [{ role, schema, kind: name, entries: JSON.parse(entries) as AclEntry[] }];
  });
}

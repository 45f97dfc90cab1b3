/** Who may do what with an object, as far as somebody has said so: what its list says beyond the default of its kind. One statement. */
import type { Session } from '../../session.ts';
import type { ObjectKey } from '../user-object.ts';
import { aclEntries, NOTHING, type AclEntry } from './acl.ts';

export interface GrantInfo {
  readonly object: ObjectKey;
  /** Of a language, which no other part of the model has. */
  readonly language: string | null;
  /** Its number where the rights are those of one column, else null. */
  readonly attnum: number | null;
  readonly entries: readonly AclEntry[];
}

interface Kind {
  readonly catalog: string;
  readonly acl: string;
  readonly owner: string;
  /** As acldefault() calls the kind. */
  readonly kind: string;
  readonly where: string;
  readonly name?: string;
}

const OF_USER = 'o.oid >= 16384';

const KINDS: readonly Kind[] = [
  {
    catalog: 'pg_class',
    acl: 'relacl',
    owner: 'relowner',
    kind: `(CASE o.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char"`,
    where: `${OF_USER} AND o.relkind IN ('r', 'p', 'v', 'm', 'S')`,
  },
  { catalog: 'pg_proc', acl: 'proacl', owner: 'proowner', kind: "'f'", where: OF_USER },
  { catalog: 'pg_type', acl: 'typacl', owner: 'typowner', kind: "'T'", where: OF_USER },
  {
    catalog: 'pg_namespace',
    acl: 'nspacl',
    owner: 'nspowner',
    kind: "'n'",
    where: `${OF_USER} OR o.nspname = 'public'`,
  },
  {
    catalog: 'pg_language',
    acl: 'lanacl',
    owner: 'lanowner',
    kind: "'l'",
    where: 'o.lanpltrusted',
    name: 'o.lanname::text',
  },
  {
    catalog: 'pg_database',
    acl: 'datacl',
    owner: 'datdba',
    kind: "'d'",
    where: 'o.datname = pg_catalog.current_database()',
  },
];

export async function readGrants(session: Session): Promise<GrantInfo[]> {
  const lists = KINDS.map(
    ({ catalog, acl, owner, kind, where, name = 'NULL::text' }) => `
      SELECT '${catalog}:' || o.oid AS object, NULL::text AS attnum, ${name} AS language,
             ${aclEntries({ acl: `o.${acl}`, base: `pg_catalog.acldefault(${kind}, o.${owner})`, owner: `o.${owner}` })} AS entries
        FROM pg_catalog.${catalog} o WHERE o.${acl} IS NOT NULL AND (${where})`,
  );
  const ofColumns = `
    SELECT 'pg_class:' || o.attrelid, o.attnum::text, NULL::text, ${aclEntries({ acl: 'o.attacl', base: NOTHING, owner: 'c.relowner' })}
      FROM pg_catalog.pg_attribute o JOIN pg_catalog.pg_class c ON c.oid = o.attrelid
     WHERE o.attacl IS NOT NULL AND o.attnum > 0 AND NOT o.attisdropped AND c.oid >= 16384`;
  const rows = await session.query<{
    object: string;
    attnum: string | null;
    language: string | null;
    entries: string;
  }>([...lists, ofColumns].join(' UNION ALL '));
  return rows.map(({ object, attnum, language, entries }) => ({
    object,
    language,
    attnum: attnum === null ? null : Number(attnum),
    entries: JSON.parse(entries) as AclEntry[],
  }));
}

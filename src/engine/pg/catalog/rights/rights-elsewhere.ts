/** Rights to objects that are not made on the target, because the server or an extension brings them: said by name where somebody has changed them. */
import type { Session } from '../../session.ts';
import type { NotMigratedInfo } from '../not-migrated.ts';

const KINDS = [
  { catalog: 'pg_proc', acl: 'proacl' },
  { catalog: 'pg_class', acl: 'relacl' },
  { catalog: 'pg_type', acl: 'typacl' },
] as const;

/** What the server and the extension themselves have granted is in pg_init_privs; not for information_schema. */
export async function readRightsElsewhere(session: Session): Promise<NotMigratedInfo[]> {
  const lists = KINDS.map(
    ({ catalog, acl }) => `
      SELECT 'pg_catalog.${catalog}'::pg_catalog.regclass::pg_catalog.oid AS class, o.oid, o.${acl} AS acl
        FROM pg_catalog.${catalog} o WHERE o.${acl} IS NOT NULL`,
  );
  const rows = await session.query<{ key: string; type: string; name: string }>(`
    SELECT 'pg_init_privs:' || x.class || ':' || x.oid AS key, i.type, i.identity AS name
      FROM (${lists.join(' UNION ALL ')}) x
      LEFT JOIN pg_catalog.pg_init_privs p ON p.classoid = x.class AND p.objoid = x.oid AND p.objsubid = 0
      CROSS JOIN LATERAL pg_catalog.pg_identify_object(x.class, x.oid, 0) i
     WHERE coalesce(i.schema, '') <> 'information_schema' AND x.acl IS DISTINCT FROM p.initprivs AND (x.oid < 16384 OR EXISTS (
             SELECT FROM pg_catalog.pg_depend d WHERE d.classid = x.class AND d.objid = x.oid AND d.deptype = 'e'))
     ORDER BY i.type, i.identity`);
  return rows.map(({ key, type, name }) => ({
    key,
    kind: 'rights to',
    name: `${type} ${name}`,
    reason: 'it comes with the server or an extension; grant and revoke there yourself',
  }));
}

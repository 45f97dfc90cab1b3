/** What came with an extension: where the target lacks it, nothing that needs one of these can be there. */
import type { Session } from '../../session.ts';
import type { ObjectKey } from '../user-object.ts';

export interface ExtensionMember {
  readonly key: ObjectKey;
  readonly extension: string;
}

export async function readExtensionMembers(session: Session): Promise<ExtensionMember[]> {
  return session.query<{ key: string; extension: string }>(`
    SELECT k.relname || ':' || d.objid AS key, e.extname AS extension
      FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class k ON k.oid = d.classid
      JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
     WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' AND e.extname <> 'plpgsql'`);
}

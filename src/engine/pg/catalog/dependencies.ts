/** Who needs whom, from pg_depend. */
import type { Session } from '../session.ts';
import type { ObjectKey } from './user-object.ts';

export interface Dependency {
  readonly object: ObjectKey;
  readonly on: ObjectKey;
  /** The object is a part of the other and exists through it (a view's SELECT rule, an array type, a constraint's index). */
  readonly isPart: boolean;
}

/**
 * Dependencies between user objects (oids from 16384 on, and the schema public). Left out are the links of a partition's
 * index, constraint or trigger to its parent's ('P', 'S', before PostgreSQL 12 'I'): they say who drops whom, while we
 * create the partition's first.
 */
export async function readDependencies(session: Session): Promise<Dependency[]> {
  const rows = await session.query<{ object: string; on: string; is_part: string }>(`
    SELECT DISTINCT k.relname || ':' || d.objid AS object, r.relname || ':' || d.refobjid AS on, (d.deptype = 'i')::text AS is_part
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_class k ON k.oid = d.classid JOIN pg_catalog.pg_class r ON r.oid = d.refclassid
     WHERE d.deptype IN ('n', 'a', 'i') AND d.objid >= 16384 AND (d.refobjid >= 16384 OR r.relname = 'pg_namespace')
       AND NOT (d.classid = d.refclassid AND d.objid = d.refobjid)
     ORDER BY object, "on"`);
  return rows.map((row) => ({ object: row.object, on: row.on, isPart: row.is_part === 'true' }));
}

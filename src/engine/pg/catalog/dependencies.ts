/** Who needs whom, from pg_depend. */
import type { Row, Session } from '../session.ts';
import { sharedTexts } from './shared.ts';
import { type ObjectKey } from './user-object.ts';

export interface Dependency {
  readonly object: ObjectKey;
  readonly on: ObjectKey;
  /** The object is a part of the other and exists through it (a view's SELECT rule, an array type, a constraint's index). */
  readonly isPart: boolean;
}

/**
 * What the server makes of its own beside an object, and nothing of ours can mention: TOAST tables with their indexes, the triggers behind a
 * foreign key, array types that nothing uses. They are half of the catalog's parts.
 */
const OUT_OF_SIGHT = `
  CASE d.classid
    WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN EXISTS (
      SELECT FROM pg_catalog.pg_class c WHERE c.oid = d.objid AND c.relnamespace = 'pg_toast'::pg_catalog.regnamespace)
    WHEN 'pg_catalog.pg_trigger'::pg_catalog.regclass THEN EXISTS (
      SELECT FROM pg_catalog.pg_trigger g WHERE g.oid = d.objid AND g.tgisinternal)
    WHEN 'pg_catalog.pg_type'::pg_catalog.regclass THEN
      EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid = d.objid AND t.typelem = d.refobjid AND d.refclassid = d.classid)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend u WHERE u.refclassid = d.classid AND u.refobjid = d.objid)
    ELSE false END`;

const DEPENDENCIES = `
    SELECT DISTINCT k.relname || ':' || d.objid AS object, r.relname || ':' || d.refobjid AS on, (d.deptype = 'i')::text AS is_part
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_class k ON k.oid = d.classid JOIN pg_catalog.pg_class r ON r.oid = d.refclassid
     WHERE d.deptype IN ('n', 'a', 'i') AND d.objid >= 16384 AND (d.refobjid >= 16384 OR r.relname = 'pg_namespace')
       AND NOT (d.classid = d.refclassid AND d.objid = d.refobjid) AND NOT ${OUT_OF_SIGHT}
     ORDER BY object, "on"`;

/**
 * Dependencies between user objects (oids from 16384 on, and the schema public). Left out are the links of a partition's
 * index, constraint or trigger to its parent's ('P', 'S', before PostgreSQL 12 'I'): they say who drops whom, while we
 * create the partition's first.
 */
export function readDependencies(session: Session, text = sharedTexts()): Promise<Dependency[]> {
  return session.map(DEPENDENCIES, dependency, { text });
}

interface DependencyRow extends Row {
  readonly object: string;
  readonly on: string;
  readonly is_part: string;
}

function dependency(row: DependencyRow): Dependency {
  return { object: row.object, on: row.on, isPart: row.is_part === 'true' };
}

/** Operator classes and families, with the operators and functions that are in them. */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { standsAlone, USER_SCHEMA, type ObjectKey } from '../user-object.ts';

export interface OperatorFamilyInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly method: string;
}

export interface OperatorClassInfo extends OperatorFamilyInfo {
  readonly isDefault: boolean;
  readonly type: string;
  /** Qualified and quoted. */
  readonly family: string;
  /** Null when it is the type itself. */
  readonly storage: string | null;
}

export interface FamilyMember {
  readonly family: OperatorFamilyInfo;
  /** Null: it is in the family only. */
  readonly operatorClass: ObjectKey | null;
  /** As in CREATE OPERATOR CLASS: `OPERATOR 1 shop.<(integer,integer)`. */
  readonly sql: string;
  /** The operator or function. */
  readonly needs: ObjectKey;
}

export interface OperatorClasses {
  readonly families: readonly OperatorFamilyInfo[];
  readonly classes: readonly OperatorClassInfo[];
  readonly members: readonly FamilyMember[];
}

export async function readOperatorClasses(session: Session): Promise<OperatorClasses> {
  const families = await session.query<{ key: string; schema: string; name: string; method: string }>(`
    SELECT 'pg_opfamily:' || f.oid AS key, n.nspname AS schema, f.opfname AS name, a.amname AS method
      FROM pg_catalog.pg_opfamily f JOIN pg_catalog.pg_namespace n ON n.oid = f.opfnamespace
      JOIN pg_catalog.pg_am a ON a.oid = f.opfmethod
     WHERE ${USER_SCHEMA} AND ${standsAlone('pg_opfamily', 'f')} ORDER BY n.nspname, f.opfname, a.amname`);
  const classes = await session.query<{
    key: string;
    schema: string;
    name: string;
    method: string;
    is_default: string;
    type: string;
    family: string;
    storage: string | null;
  }>(`
    SELECT 'pg_opclass:' || c.oid AS key, n.nspname AS schema, c.opcname AS name, a.amname AS method,
           c.opcdefault::text AS is_default, pg_catalog.format_type(c.opcintype, NULL) AS type,
           pg_catalog.quote_ident(fn.nspname) || '.' || pg_catalog.quote_ident(f.opfname) AS family,
           CASE WHEN c.opckeytype <> 0 THEN pg_catalog.format_type(c.opckeytype, NULL) END AS storage
      FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_namespace n ON n.oid = c.opcnamespace
      JOIN pg_catalog.pg_am a ON a.oid = c.opcmethod
      JOIN pg_catalog.pg_opfamily f ON f.oid = c.opcfamily JOIN pg_catalog.pg_namespace fn ON fn.oid = f.opfnamespace
     WHERE ${USER_SCHEMA} AND ${standsAlone('pg_opclass', 'c')} ORDER BY n.nspname, c.opcname, a.amname`);
  return {
    families,
    classes: classes.map((row) => ({
      key: row.key,
      schema: row.schema,
      name: row.name,
      method: row.method,
      isDefault: row.is_default === 'true',
      type: row.type,
      family: row.family,
      storage: row.storage,
    })),
    members: await readMembers(session),
  };
}

/** Of the class through which a member came, if it is the user's. */
const CLASS_OF = (catalog: string) => `
  (SELECT 'pg_opclass:' || d.refobjid FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass AND d.objid = m.oid
      AND d.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass LIMIT 1)`;

/** An extension's operator or function belongs to that extension, wherever it is a member. */
const NOT_OF_EXTENSION = (catalog: string, oid: string) => `
  NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass AND x.objid = ${oid} AND x.deptype = 'e')`;

async function readMembers(session: Session): Promise<FamilyMember[]> {
  const rows = await session.query<{
    key: string;
    schema: string;
    name: string;
    method: string;
    operator_class: string | null;
    sql: string;
    needs: string;
  }>(`
    SELECT 'pg_opfamily:' || f.oid AS key, n.nspname AS schema, f.opfname AS name, a.amname AS method, m.operator_class, m.sql, m.needs
      FROM (SELECT m.amopfamily AS family, 1 AS kind, m.amopstrategy AS number, m.amoplefttype AS left_type, m.amoprighttype AS right_type,
                   ${CLASS_OF('pg_amop')} AS operator_class, 'pg_operator:' || m.amopopr AS needs,
                   'OPERATOR ' || m.amopstrategy || ' ' || m.amopopr::pg_catalog.regoperator || coalesce(' FOR ORDER BY ' || (
                     SELECT pg_catalog.quote_ident(sn.nspname) || '.' || pg_catalog.quote_ident(s.opfname) FROM pg_catalog.pg_opfamily s
                       JOIN pg_catalog.pg_namespace sn ON sn.oid = s.opfnamespace WHERE s.oid = m.amopsortfamily), '') AS sql
              FROM pg_catalog.pg_amop m WHERE m.oid >= 16384 AND ${NOT_OF_EXTENSION('pg_operator', 'm.amopopr')}
             UNION ALL
            SELECT m.amprocfamily, 2, m.amprocnum, m.amproclefttype, m.amprocrighttype, ${CLASS_OF('pg_amproc')}, 'pg_proc:' || m.amproc::pg_catalog.oid,
                   'FUNCTION ' || m.amprocnum || ' (' || pg_catalog.format_type(m.amproclefttype, NULL) || ', '
                     || pg_catalog.format_type(m.amprocrighttype, NULL) || ') ' || m.amproc::pg_catalog.oid::pg_catalog.regprocedure
              FROM pg_catalog.pg_amproc m WHERE m.oid >= 16384 AND ${NOT_OF_EXTENSION('pg_proc', 'm.amproc::pg_catalog.oid')}) m
      JOIN pg_catalog.pg_opfamily f ON f.oid = m.family JOIN pg_catalog.pg_namespace n ON n.oid = f.opfnamespace
      JOIN pg_catalog.pg_am a ON a.oid = f.opfmethod
     WHERE ${NOT_OF_EXTENSION('pg_opfamily', 'f.oid')}
     ORDER BY n.nspname, f.opfname, a.amname, m.kind, m.number, m.sql`);
  return rows.map((row) => ({
    family: { key: row.key, schema: row.schema, name: row.name, method: row.method },
    operatorClass: row.operator_class,
    sql: row.sql,
    needs: row.needs,
  }));
}

/** Who owns what: every kind of object that is made on the target. One statement. */
import type { Row, Session } from '../../session.ts';
import { sharedTexts } from '../shared.ts';
import { type ObjectKey } from '../user-object.ts';

export interface OwnerInfo {
  readonly object: ObjectKey;
  readonly owner: string;
  /** A function that runs with the rights of its owner. */
  readonly isSecurityDefiner: boolean;
}

const KINDS = (version: number): readonly { catalog: string; owner: string; where?: string }[] => [
  { catalog: 'pg_namespace', owner: 'nspowner', where: `${ownsPublicByChoice(version)}` },
  {
    catalog: 'pg_class',
    owner: 'relowner',
    where: "o.oid >= 16384 AND o.relkind IN ('r', 'p', 'v', 'm', 'S')",
  },
  { catalog: 'pg_proc', owner: 'proowner' },
  {
    catalog: 'pg_type',
    owner: 'typowner',
    where: `o.oid >= 16384 AND (o.typtype IN ('d', 'e', 'r') OR (o.typtype = 'c'
      AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = o.typrelid AND c.relkind = 'c')))`,
  },
  { catalog: 'pg_operator', owner: 'oprowner' },
  { catalog: 'pg_opclass', owner: 'opcowner' },
  { catalog: 'pg_opfamily', owner: 'opfowner' },
  { catalog: 'pg_collation', owner: 'collowner' },
  { catalog: 'pg_conversion', owner: 'conowner' },
  { catalog: 'pg_ts_config', owner: 'cfgowner' },
  { catalog: 'pg_ts_dict', owner: 'dictowner' },
  { catalog: 'pg_statistic_ext', owner: 'stxowner' },
];

/** The schema public as initdb makes it belongs to the server's first superuser, since PostgreSQL 15 to pg_database_owner. */
function ownsPublicByChoice(version: number): string {
  const initial = version >= 150_000 ? "'pg_database_owner'::pg_catalog.regrole" : '10';
  return `o.oid >= 16384 OR (o.nspname = 'public' AND o.nspowner <> ${initial})`;
}

/** Of the schema public only where somebody has chosen its owner. */
export function readOwners(session: Session, text = sharedTexts()): Promise<OwnerInfo[]> {
  const owned = KINDS(session.version).map(
    ({ catalog, owner, where = 'o.oid >= 16384' }) => `
      SELECT '${catalog}:' || o.oid AS object, o.${owner} AS owner, ${catalog === 'pg_proc' ? 'o.prosecdef' : 'false'} AS definer
        FROM pg_catalog.${catalog} o WHERE ${where}`,
  );
  const sql = `
    SELECT o.object, r.rolname AS owner, o.definer::text AS definer
      FROM (${owned.join(' UNION ALL ')}) o JOIN pg_catalog.pg_roles r ON r.oid = o.owner`;
  return session.map(sql, ownerInfo, { text });
}

interface OwnerRow extends Row {
  readonly object: string;
  readonly owner: string;
  readonly definer: string;
}

function ownerInfo({ object, owner, definer }: OwnerRow): OwnerInfo {
  return { object, owner, isSecurityDefiner: definer === 'true' };
}

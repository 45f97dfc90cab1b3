/** Partitions and the keys of the partitioned table at their top: in one plain table only the latter tell rows apart. */
import { nameKey } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import type { TableInfo } from './tables.ts';
import { readUniqueKeys } from '../constraints/unique-keys.ts';

/** Those with a replica identity of their own columns that holds no key of their table. */
export async function partitionsWithoutKey<T extends Pick<TableInfo, 'kind' | 'rootOid' | 'identityColumns'>>(
  session: Session,
  tables: readonly T[],
): Promise<T[]> {
  const asked = tables.filter(({ kind, rootOid }) => kind === 'r' && rootOid !== null);
  if (asked.length === 0) return [];
  const rows = await session.query(
    `SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::pg_catalog.oid[])`,
    [`{${[...new Set(asked.map(({ rootOid }) => rootOid))].join(',')}}`],
  );
  const byName = await readUniqueKeys(session);
  const keys = new Map(
    rows.map((row) => {
      const name = { schema: row.schema ?? '', name: row.name ?? '' };
      return [Number(row.oid), byName.get(nameKey(name)) ?? []] as const;
    }),
  );
  return asked.filter(({ rootOid, identityColumns }) => {
    if (identityColumns.length === 0) return false;
    const ofTable = keys.get(rootOid ?? 0) ?? [];
    return !ofTable.some(({ columns }) => columns.every((name) => identityColumns.includes(name)));
  });
}

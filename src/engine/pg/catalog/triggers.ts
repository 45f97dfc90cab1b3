/** User triggers. Those of foreign keys and the copies on partitions are made by the server itself. */
import type { Session } from '../session.ts';
import { USER_RELATION } from './tables/tables.ts';
import type { ObjectKey } from './user-object.ts';

/** When it fires: O in origin sessions (the default), D never, R in replica sessions, A always. */
export type FiringMode = 'O' | 'D' | 'R' | 'A';

export interface TriggerInfo {
  readonly key: ObjectKey;
  readonly table: ObjectKey;
  readonly name: string;
  readonly definition: string;
  readonly firing: FiringMode;
  /** FOR EACH ROW BEFORE. */
  readonly isBeforeRow: boolean;
  readonly isRow: boolean;
  /** Partitions on which it fires otherwise than on the partitioned table. */
  readonly partitions: readonly { readonly table: ObjectKey; readonly firing: FiringMode }[];
}

export async function readTriggers(session: Session): Promise<TriggerInfo[]> {
  const isClone = session.version >= 130_000 ? 't.tgparentid <> 0' : 'false';
  const differing =
    session.version >= 130_000
      ? `coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('table', 'pg_class:' || u.tgrelid, 'firing', u.tgenabled))
             FROM pg_catalog.pg_trigger u WHERE u.tgparentid = t.oid AND u.tgenabled <> t.tgenabled), '[]')::text`
      : "'[]'";
  const rows = await session.query<{
    key: string;
    table_key: string;
    name: string;
    definition: string;
    firing: FiringMode;
    is_before_row: string;
    is_row: string;
    partitions: string;
  }>(`
    SELECT 'pg_trigger:' || t.oid AS key, 'pg_class:' || t.tgrelid AS table_key, t.tgname AS name,
           pg_catalog.pg_get_triggerdef(t.oid) AS definition, t.tgenabled::text AS firing,
           ((t.tgtype & 3) = 3)::text AS is_before_row, ((t.tgtype & 1) = 1)::text AS is_row, ${differing} AS partitions
      FROM pg_catalog.pg_trigger t
      JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT t.tgisinternal AND NOT (${isClone}) AND c.relkind IN ('r', 'p', 'v') AND c.relpersistence <> 't' AND ${USER_RELATION}
     ORDER BY n.nspname, c.relname, t.tgname`);
  return rows.map((row) => {
    const partitions: { table: ObjectKey; firing: FiringMode }[] = JSON.parse(row.partitions);
    return {
      key: row.key,
      table: row.table_key,
      name: row.name,
      definition: row.definition,
      firing: row.firing,
      isBeforeRow: row.is_before_row === 'true',
      isRow: row.is_row === 'true',
      partitions,
    };
  });
}

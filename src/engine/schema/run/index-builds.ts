/** How far the target is with the indexes that it builds for us, as it tells from PostgreSQL 12 on. */
import type { IndexBuild } from '../../../contract/progress.ts';
import { displayName } from '../../change/relation.ts';
import type { Row, Session } from '../../pg/session.ts';

/** `server_version_num` of the first that tells. */
const TELLS_INDEX_BUILDS = 120_000;

/** The builds of this database's sessions of this name, those that started first in front. */
export async function readIndexBuilds(session: Session, applicationName: string): Promise<IndexBuild[]> {
  if (session.version < TELLS_INDEX_BUILDS) return [];
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, p.phase, p.blocks_done::text, p.blocks_total::text,
            p.tuples_done::text, p.tuples_total::text, a.query
       FROM pg_catalog.pg_stat_progress_create_index p
       JOIN pg_catalog.pg_stat_activity a ON a.pid = p.pid
       JOIN pg_catalog.pg_class c ON c.oid = p.relid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE p.datname = pg_catalog.current_database() AND a.application_name = $1
      ORDER BY a.query_start, p.pid`,
    [applicationName],
  );
  return rows.map((row) => ({
    table: displayName({ schema: row.schema ?? '', name: row.name ?? '' }),
    index: indexOf(row.query ?? ''),
    phase: (row.phase ?? '').replace(/^building index: /, ''),
    share: shareOf(row),
  }));
}

/**
 * By the statement, as pg_get_indexdef() writes it and we run it: before its transaction ends nobody else can see the index in the
 * catalog. Null for anything else, as for several statements at once.
 */
function indexOf(query: string): string | null {
  const [, name] = /^CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?("(?:[^"]|"")+"|\S+) ON /.exec(query) ?? [];
  if (name === undefined || query.includes('\n;\n')) return null;
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** The server counts blocks while it reads the table and rows while it writes the index; while it sorts, nothing. */
function shareOf(row: Row): number | null {
  if (row.phase?.includes('sorting')) return null;
  for (const unit of ['tuples', 'blocks']) {
    const [done, total] = [Number(row[`${unit}_done`] ?? 0), Number(row[`${unit}_total`] ?? 0)];
    if (total > 0) return Math.min(1, done / total);
  }
  return null;
}

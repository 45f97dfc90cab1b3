/** The two servers of the bench, equal in every setting, and the databases on them. */
import { startEmbedded, type EmbeddedServer } from '../../src/base/embedded/server.ts';
import { connect } from '../../src/engine/pg/connect.ts';
import { parseConninfo } from '../../src/engine/pg/conninfo/parse.ts';
import { ident } from '../../src/engine/pg/ident.ts';
import type { Session } from '../../src/engine/pg/session.ts';
import type { DataSet, DataTable } from './data-sets.ts';

/** The major of the tools of Debian 12: an older pg_dump refuses a newer server. */
const TOOLS_MAJOR = 15;

export const SETTINGS = {
  shared_buffers: '512MB',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
  wal_level: 'logical',
  autovacuum: 'off',
} as const;

export interface ClusterPair extends AsyncDisposable {
  readonly source: EmbeddedServer;
  readonly target: EmbeddedServer;
}

/** One data set as it stands in the source. */
export interface LoadedData {
  readonly database: string;
  readonly about: string;
  /** Largest first. */
  readonly tables: readonly LoadedTable[];
  /** Heap and TOAST of all tables. */
  readonly bytes: bigint;
  readonly indexes: bigint;
  /** Creates the tables without keys, for runs that copy rows only. */
  readonly bareDdl: readonly string[];
}

export interface LoadedTable {
  readonly name: string;
  readonly bytes: bigint;
  readonly rows: bigint;
}

/** Starts both servers; disposing of the pair stops them and deletes their data. */
export async function startPair(major = TOOLS_MAJOR): Promise<ClusterPair> {
  const source = await startEmbedded({ major, settings: SETTINGS });
  try {
    const target = await startEmbedded({ major, settings: SETTINGS });
    return {
      source,
      target,
      [Symbol.asyncDispose]: async () => {
        await Promise.all([source.remove(), target.remove()]);
      },
    };
  } catch (thrown) {
    await source.remove();
    throw thrown;
  }
}

export function openDatabase(server: EmbeddedServer, database: string): Promise<Session> {
  return connect(parseConninfo(server.uri(database), 'source'), {
    side: 'source',
    applicationName: 'bench',
  });
}

/** A new database of that name, empty or a copy of another, whatever was there before; both servers with their last run behind them. */
export async function freshTarget(
  { source, target }: ClusterPair,
  database: string,
  template?: string,
): Promise<void> {
  await using there = await openDatabase(target, 'postgres');
  await there.query(`DROP DATABASE IF EXISTS ${ident(database)} WITH (FORCE)`);
  const like = template === undefined ? '' : ` TEMPLATE ${ident(template)} STRATEGY file_copy`;
  await there.query(`CREATE DATABASE ${ident(database)}${like}`);
  await there.query('CHECKPOINT');
  await using here = await openDatabase(source, 'postgres');
  await here.query('CHECKPOINT');
}

/** From both servers, as far as they are there. */
export async function dropDatabases(
  { source, target }: ClusterPair,
  databases: readonly string[],
): Promise<void> {
  for (const server of [source, target]) {
    await using session = await openDatabase(server, 'postgres');
    for (const database of databases)
      await session.query(`DROP DATABASE IF EXISTS ${ident(database)} WITH (FORCE)`);
  }
}

/** Statements are sent in groups: thousands of tables would else be thousands of round trips. */
const GROUP = 200;

export async function runAll(session: Session, statements: readonly string[]): Promise<void> {
  for (let at = 0; at < statements.length; at += GROUP)
    await session.query(statements.slice(at, at + GROUP).join(';\n'));
}

/** Creates and fills the database of a data set on the source. Vacuumed: the first reader would else pay for setting hint bits. */
export async function load({ source }: ClusterPair, data: DataSet): Promise<LoadedData> {
  await using root = await openDatabase(source, 'postgres');
  await root.query(`CREATE DATABASE ${ident(data.name)}`);
  await using session = await openDatabase(source, data.name);
  const all = (part: (table: DataTable) => readonly string[]) => data.tables.flatMap(part);
  const bareDdl = [...data.types, ...all(({ create }) => [create])];
  await runAll(session, bareDdl);
  await runAll(
    session,
    all(({ fill }) => [fill]),
  );
  await runAll(
    session,
    all(({ keys }) => keys),
  );
  await session.query('VACUUM ANALYZE');
  await session.query('CHECKPOINT');
  const sizes = await tableSizes(session);
  const rows = await countRows(session, [...sizes.keys()]);
  const tables = [...sizes].map(([name, bytes]) => ({ name, bytes, rows: rows.get(name) ?? 0n }));
  const bytes = tables.reduce((sum, table) => sum + table.bytes, 0n);
  return {
    database: data.name,
    about: data.about,
    tables,
    bytes,
    indexes: await countIndexes(session),
    bareDdl,
  };
}

async function tableSizes(session: Session): Promise<Map<string, bigint>> {
  const rows = await session.query(
    `SELECT c.relname AS name, pg_catalog.pg_table_size(c.oid)::text AS bytes FROM pg_catalog.pg_class c
      WHERE c.relnamespace = 'public'::pg_catalog.regnamespace AND c.relkind = 'r'
      ORDER BY pg_catalog.pg_table_size(c.oid) DESC, c.relname`,
  );
  return new Map(rows.map(({ name, bytes }) => [name ?? '', BigInt(bytes ?? 0)]));
}

/** `count(*)` of tables of schema public, in groups: one statement over all of them would exhaust the lock table. */
export async function countRows(session: Session, names: readonly string[]): Promise<Map<string, bigint>> {
  const counts = new Map<string, bigint>();
  for (let at = 0; at < names.length; at += GROUP) {
    const parts = names
      .slice(at, at + GROUP)
      .map((name, index) => `SELECT ${index} AS at, count(*)::text AS rows FROM public.${ident(name)}`);
    for (const { at: index, rows } of await session.query(parts.join(' UNION ALL ')))
      counts.set(names[at + Number(index)] ?? '', BigInt(rows ?? 0));
  }
  return counts;
}

/** Valid indexes on tables of schema public. */
export async function countIndexes(session: Session): Promise<bigint> {
  const { count } = await session.one(
    `SELECT count(*)::text AS count FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
      WHERE c.relnamespace = 'public'::pg_catalog.regnamespace AND i.indisvalid`,
  );
  return BigInt(count ?? 0);
}

/** Reads copy chunks under the held snapshot, their rows relayed into the other end's COPY. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName } from '../change/relation.ts';
import type { Snapshot } from '../change/snapshot.ts';
import { columnsOf, readColumns } from '../pg/catalog/columns-now.ts';
import type { TableInfo } from '../pg/catalog/tables.ts';
import { literal, qname } from '../pg/ident.ts';
import { PgError, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { CopyError, relayCopy, type CopyResult } from '../pg/wire/copy-relay.ts';
import { copyOut, type ChunkPlace, type ChunkRows } from './copy-statement.ts';
import type { CopyThrottle } from './throttle.ts';
import { isUnchanged } from './write-test.ts';

export interface ChunkRead extends ChunkRows {
  readonly copyIn: string;
  readonly onPass: (bytes: number, rows: number) => void;
}

/** A session inside one transaction under the held snapshot; it serves many chunks. */
export interface ChunkReader extends AsyncDisposable {
  /** Locks tables against changes and makes sure that the snapshot still reads them, and as they were planned; before they are sent. */
  lock(tables: readonly TableInfo[], signal: AbortSignal): Promise<void>;
  send(chunk: ChunkRead, writer: Session, signal: AbortSignal): Promise<CopyResult>;
  /** Whether a locked table's chunk still holds the rows that an earlier snapshot saw; never true in error. */
  isUnchanged(place: ChunkPlace, since: { earlier: Snapshot; rows: bigint }): Promise<boolean>;
}

export interface ReaderOptions {
  readonly open: () => Promise<Session>;
  /** An ordinary session, which sees the catalog as it is now. */
  readonly control: () => Promise<Session>;
  readonly exportedId: string;
  /** Shared by all readers of the task. */
  readonly throttle: CopyThrottle | null;
}

/** Throws SNAPSHOT_LOST when the holder is gone. */
export async function openChunkReader(options: ReaderOptions): Promise<ChunkReader> {
  const { throttle } = options;
  const session = await options.open();
  try {
    await importSnapshot(session, options.exportedId);
  } catch (thrown) {
    await session.end();
    throw thrown;
  }
  let isFirst = true;
  return {
    lock: async (tables, signal) => {
      // The locks of the batch before go with its savepoint: thousands of tables would fill the server's lock table.
      await session.query(isFirst ? 'SAVEPOINT batch' : 'ROLLBACK TO SAVEPOINT batch');
      isFirst = false;
      await lockTables(session, tables, { throttle, signal });
      await throttle?.beforeQuery(signal);
      await assertUnchanged(await options.control(), tables);
    },
    send: (chunk, writer, signal) => sendChunk(session, writer, { chunk, throttle, signal }),
    isUnchanged: (place, since) => isUnchanged(session, place, since),
    [Symbol.asyncDispose]: () => session.end(),
  };
}

/** Opens the session's transaction under a held snapshot. Throws SNAPSHOT_LOST when its holder is gone. */
export async function importSnapshot(session: Session, exportedId: string): Promise<void> {
  try {
    // Rows come in one order each time: where one cannot pass, it is found again by its place in that order.
    await session.query('SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0');
    await session.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${literal(exportedId)}`,
    );
  } catch (thrown) {
    // No such snapshot any more: invalid_parameter_value or undefined_object, by version; 55000 while its holder is just ending.
    if (/^(22023|42704|55000)$/.test(sqlstateOf(thrown) ?? ''))
      throw new AppError('SNAPSHOT_LOST', {}, thrown);
    throw thrown;
  }
}

interface Sending {
  readonly throttle: CopyThrottle | null;
  readonly signal: AbortSignal;
}

/** Streams the chunk into `writer`, which has its transaction open. Throws COPY_COUNT_DIFFERS, COPY_FAILED or CONNECTION_LOST. */
async function sendChunk(
  reader: Session,
  writer: Session,
  { chunk, throttle, signal }: Sending & { chunk: ChunkRead },
): Promise<CopyResult> {
  await throttle?.beforeQuery(signal);
  const pace = throttle?.forUnit() ?? null;
  const result = await relayCopy(
    reader,
    writer,
    { out: copyOut(chunk), in: chunk.copyIn, onPass: chunk.onPass, pace },
    signal,
  ).catch((thrown: unknown) => {
    throw explainCopy(thrown, chunk.table);
  });
  if (result.rowsIn !== result.rowsOut) {
    throw new AppError('COPY_COUNT_DIFFERS', {
      table: displayName(chunk.table),
      sent: result.rowsOut,
      received: result.rowsIn,
    });
  }
  return result;
}

/**
 * P3: after a rewrite (ALTER TYPE, TRUNCATE, VACUUM FULL) an old snapshot reads zero rows without an error. With the locks held, the file
 * that the snapshot knows must still be the table's file. Two statements, however many the tables.
 */
async function lockTables(
  reader: Session,
  tables: readonly TableInfo[],
  { throttle, signal }: Sending,
): Promise<void> {
  await throttle?.beforeQuery(signal);
  try {
    await reader.query(
      `LOCK TABLE ${tables.map((table) => `ONLY ${qname(table)}`).join(', ')} IN ACCESS SHARE MODE`,
    );
  } catch (thrown) {
    if (!(thrown instanceof PgError)) throw thrown;
    const table = tables.map(displayName).join(', ').slice(0, 200);
    throw new AppError(
      'COPY_FAILED',
      { table, side: 'source', problem: thrown.shown, sqlstate: thrown.sqlstate },
      thrown,
    );
  }
  await throttle?.beforeQuery(signal);
  // A scan of pg_class uses our snapshot; the function looks at the present.
  const rewritten = await reader.query(
    `SELECT c.oid::text AS oid FROM pg_catalog.pg_class c
      WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid)`,
    [`{${tables.map((table) => table.oid).join(',')}}`],
  );
  if (rewritten.length === 0) return;
  const names = tables
    .filter((table) => rewritten.some((row) => Number(row.oid) === table.oid))
    .map(displayName);
  throw new AppError('TABLE_REWRITTEN', { table: names.join(', ') });
}

/** C10: with the locks held, the columns are still those that were planned. Throws TABLE_CHANGED. */
async function assertUnchanged(control: Session, tables: readonly TableInfo[]): Promise<void> {
  const now = await readColumns(control, tables);
  const changed = tables.filter((table) => now.get(table.oid) !== columnsOf(table));
  if (changed.length === 0) return;
  throw new AppError('TABLE_CHANGED', { table: changed.map(displayName).join(', ') });
}

function explainCopy(thrown: unknown, table: TableInfo): unknown {
  if (!(thrown instanceof CopyError)) return thrown;
  if (thrown.cause instanceof AppError) return thrown.cause;
  const { side, message, sqlstate } = thrown;
  return new AppError('COPY_FAILED', { table: displayName(table), side, problem: message, sqlstate }, thrown);
}

/** Reads copy chunks under the held snapshot, their rows relayed into the other end's COPY. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName } from '../change/relation.ts';
import type { Snapshot } from '../change/snapshot.ts';
import { columnsOf, readColumns } from '../pg/catalog/tables/columns-now.ts';
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import { qname } from '../pg/ident.ts';
import { PgError } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { CopyError, relayCopy, type CopyResult } from '../pg/wire/copy-relay.ts';
import { copyOut, type ChunkPlace, type ChunkRows } from './copy-statement.ts';
import type { CopyThrottle } from './throttle.ts';
import { findRow } from './find-row.ts';
import { importSnapshot, type ImportedSnapshot } from './import-snapshot.ts';
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
  readonly held: ImportedSnapshot;
  /** Shared by all readers of the task. */
  readonly throttle: CopyThrottle | null;
}

/** Throws SNAPSHOT_LOST when the holder is gone, OTHER_SERVER or POOLER where the connection leads elsewhere. */
export async function openChunkReader(options: ReaderOptions): Promise<ChunkReader> {
  const { throttle } = options;
  const session = await options.open();
  try {
    await importSnapshot(session, options.held);
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
    send: (chunk, writer, signal) => sendChunk(session, writer, { chunk, options, signal }),
    isUnchanged: (place, since) => isUnchanged(session, place, since),
    [Symbol.asyncDispose]: () => session.end(),
  };
}

interface Sending {
  readonly throttle: CopyThrottle | null;
  readonly signal: AbortSignal;
}

/** Streams the chunk into `writer`, which has its transaction open. Throws COPY_COUNT_DIFFERS, COPY_FAILED or CONNECTION_LOST. */
async function sendChunk(
  reader: Session,
  writer: Session,
  { chunk, options, signal }: { chunk: ChunkRead; options: ReaderOptions; signal: AbortSignal },
): Promise<CopyResult> {
  const { throttle } = options;
  await throttle?.beforeQuery(signal);
  const pace = throttle?.forUnit() ?? null;
  const result = await relayCopy(
    reader,
    writer,
    { out: copyOut(chunk), in: chunk.copyIn, onPass: chunk.onPass, pace },
    signal,
  ).catch(async (thrown: unknown) => {
    throw await explainCopy(thrown, chunk, options);
  });
  if (result.rowsIn + result.leftOut !== result.rowsOut) {
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

/** The error a person gets; where one row is to blame, with that row's key. */
async function explainCopy(thrown: unknown, chunk: ChunkRead, options: ReaderOptions): Promise<unknown> {
  if (!(thrown instanceof CopyError)) return thrown;
  if (thrown.cause instanceof AppError) return thrown.cause;
  const { side, message, sqlstate } = thrown;
  const facts = { table: displayName(chunk.table), side, problem: message, sqlstate };
  const before = rowsBefore(thrown);
  const row = before === null ? null : await rowAt(chunk, before, options).catch(() => null);
  return row === null
    ? new AppError('COPY_FAILED', facts, thrown)
    : new AppError('ROW_REFUSED', { ...facts, row }, thrown);
}

/** Looked up on a session of its own: the failed one is lost. */
async function rowAt(chunk: ChunkRead, before: number, options: ReaderOptions): Promise<string | null> {
  await using session = await options.open();
  await importSnapshot(session, options.held);
  return await findRow(session, chunk, before);
}

/** About data (22, 23 …), or larger than a server can hold in memory (54000, XX000). */
const ABOUT_A_ROW = /^(21|22|23|44|P0|54|XX000)/;

/** How many rows the COPY sent before the one that failed; null where no row is to blame. */
function rowsBefore({ side, sqlstate, rows, cause }: CopyError): number | null {
  if (!(cause instanceof PgError) || !ABOUT_A_ROW.test(sqlstate)) return null;
  if (side === 'source') return rows;
  // `COPY orders, line 3, column amount: …`, in the server's language.
  const line = /^COPY .*?, \D+(\d+)/m.exec(cause.fields.where ?? '')?.[1];
  return line === undefined ? null : Number(line) - 1;
}

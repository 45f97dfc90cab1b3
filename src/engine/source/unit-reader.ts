/** Reads one copy unit: a table under the held snapshot, its rows relayed into the other end's COPY. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName } from '../change/relation.ts';
import type { TableInfo } from '../pg/catalog/tables.ts';
import { ident, literal, qname } from '../pg/ident.ts';
import { PgError, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { CopyError, relayCopy, type CopyResult } from '../pg/wire/copy-relay.ts';
import type { CopyThrottle } from './throttle.ts';

/** `columns`: what the target takes, in its order. Binary only where both ends have the same built-in types. */
export interface UnitRead {
  readonly table: TableInfo;
  readonly columns: readonly string[];
  readonly binary: boolean;
  readonly copyIn: string;
  readonly onBytes: (bytes: number) => void;
}

/** A session inside one transaction under the held snapshot; it serves many units. */
export interface UnitReader extends AsyncDisposable {
  /** Locks tables against rewrites and makes sure that the snapshot still reads them; before they are sent. */
  lock(tables: readonly TableInfo[], signal: AbortSignal): Promise<void>;
  send(unit: UnitRead, writer: Session, signal: AbortSignal): Promise<CopyResult>;
}

/** `throttle` is shared by all readers of the task. Throws SNAPSHOT_LOST when the holder is gone. */
export async function openUnitReader(
  open: () => Promise<Session>,
  exportedId: string,
  throttle: CopyThrottle | null,
): Promise<UnitReader> {
  const session = await open();
  try {
    await session.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${literal(exportedId)}`,
    );
  } catch (thrown) {
    await session.end();
    // No such snapshot any more: invalid_parameter_value or undefined_object, by version; 55000 while its holder is just ending.
    if (/^(22023|42704|55000)$/.test(sqlstateOf(thrown) ?? ''))
      throw new AppError('SNAPSHOT_LOST', {}, thrown);
    throw thrown;
  }
  let isFirst = true;
  return {
    lock: async (tables, signal) => {
      // The locks of the batch before go with its savepoint: thousands of tables would fill the server's lock table.
      await session.query(isFirst ? 'SAVEPOINT batch' : 'ROLLBACK TO SAVEPOINT batch');
      isFirst = false;
      await lockTables(session, tables, { throttle, signal });
    },
    send: (unit, writer, signal) => sendUnit(session, writer, { unit, throttle, signal }),
    [Symbol.asyncDispose]: () => session.end(),
  };
}

interface Sending {
  readonly throttle: CopyThrottle | null;
  readonly signal: AbortSignal;
}

/** Streams the unit into `writer`, which has its transaction open. Throws COPY_COUNT_DIFFERS, COPY_FAILED or CONNECTION_LOST. */
async function sendUnit(
  reader: Session,
  writer: Session,
  { unit, throttle, signal }: Sending & { unit: UnitRead },
): Promise<CopyResult> {
  // A table without columns is legal and has nothing but its row count.
  const columns = unit.columns.length > 0 ? ` (${unit.columns.map(ident).join(', ')})` : '';
  const out = `COPY ${qname(unit.table)}${columns} TO STDOUT${unit.binary ? ' (FORMAT binary)' : ''}`;
  await throttle?.beforeQuery(signal);
  const pace = throttle?.forUnit() ?? null;
  const result = await relayCopy(
    reader,
    writer,
    { out, in: unit.copyIn, onBytes: unit.onBytes, pace },
    signal,
  ).catch((thrown: unknown) => {
    throw explainCopy(thrown, unit.table);
  });
  if (result.rowsIn !== result.rowsOut) {
    throw new AppError('COPY_COUNT_DIFFERS', {
      table: displayName(unit.table),
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

function explainCopy(thrown: unknown, table: TableInfo): unknown {
  if (!(thrown instanceof CopyError)) return thrown;
  if (thrown.cause instanceof AppError) return thrown.cause;
  const { side, message, sqlstate } = thrown;
  return new AppError('COPY_FAILED', { table: displayName(table), side, problem: message, sqlstate }, thrown);
}

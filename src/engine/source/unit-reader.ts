/** Reads one copy unit: a table under the held snapshot, its rows relayed into the other end's COPY. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName } from '../change/relation.ts';
import type { TableInfo } from '../pg/catalog/tables.ts';
import { ident, literal, qname } from '../pg/ident.ts';
import { sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { CopyError, relayCopy, type CopyResult } from '../pg/wire/copy-relay.ts';

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
  send(unit: UnitRead, writer: Session, signal: AbortSignal): Promise<CopyResult>;
}

/** Throws SNAPSHOT_LOST when the holder is gone. */
export async function openUnitReader(open: () => Promise<Session>, exportedId: string): Promise<UnitReader> {
  const session = await open();
  try {
    await session.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${literal(exportedId)}`,
    );
  } catch (thrown) {
    await session.end();
    // No such snapshot any more: invalid_parameter_value or undefined_object, by version; 55000 while its holder is just ending.
    if (/^(22023|42704|55000)$/.test(sqlstateOf(thrown) ?? '')) throw new AppError('SNAPSHOT_LOST', {}, thrown);
    throw thrown;
  }
  return {
    send: (unit, writer, signal) => sendUnit(session, writer, { unit, signal }),
    [Symbol.asyncDispose]: () => session.end(),
  };
}

/** Streams the unit into `writer`, which has its transaction open. Throws TABLE_REWRITTEN, COPY_COUNT_DIFFERS, COPY_FAILED or CONNECTION_LOST. */
async function sendUnit(
  reader: Session,
  writer: Session,
  { unit, signal }: { unit: UnitRead; signal: AbortSignal },
): Promise<CopyResult> {
  await lockAndCheck(reader, unit.table);
  // A table without columns is legal and has nothing but its row count.
  const columns = unit.columns.length > 0 ? ` (${unit.columns.map(ident).join(', ')})` : '';
  const out = `COPY ${qname(unit.table)}${columns} TO STDOUT${unit.binary ? ' (FORMAT binary)' : ''}`;
  const result = await relayCopy(
    reader,
    writer,
    { out, in: unit.copyIn, onBytes: unit.onBytes },
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
 * P3: after a rewrite (ALTER TYPE, TRUNCATE, VACUUM FULL) an old snapshot reads zero rows without an error. With the lock held, the file
 * that the snapshot knows must still be the table's file.
 */
async function lockAndCheck(reader: Session, table: TableInfo): Promise<void> {
  await reader.query(`LOCK TABLE ONLY ${qname(table)} IN ACCESS SHARE MODE`);
  // A scan of pg_class uses our snapshot; the function looks at the present.
  const row = await reader.one(
    `SELECT c.relfilenode::text AS then, pg_catalog.pg_relation_filenode(c.oid)::text AS now FROM pg_catalog.pg_class c WHERE c.oid = $1`,
    [String(table.oid)],
  );
  if (row.then !== row.now) throw new AppError('TABLE_REWRITTEN', { table: displayName(table) });
}

function explainCopy(thrown: unknown, table: TableInfo): unknown {
  if (!(thrown instanceof CopyError)) return thrown;
  if (thrown.cause instanceof AppError) return thrown.cause;
  const { side, message, sqlstate } = thrown;
  return new AppError('COPY_FAILED', { table: displayName(table), side, problem: message, sqlstate }, thrown);
}

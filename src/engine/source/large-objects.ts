/**
 * Reads large objects under the held snapshot. Their pages may be read directly by superusers only, so they are read with lo_get(), which
 * asks for SELECT on the object and looks at the snapshot of the transaction.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { BATCH_OBJECTS, PIECE_BYTES, type LargeObject, type Pieces } from '../change/large-object.ts';
import type { OidRange } from '../change/oid-range.ts';
import { ident } from '../pg/ident.ts';
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { CopyError, relayCopy, type CopyResult } from '../pg/wire/copy-relay.ts';
import type { ReaderOptions } from './chunk-reader.ts';
import { importSnapshot } from './import-snapshot.ts';

/** So many oids are named in an error. */
const NAMED = 10;

export interface PiecesRead extends Pieces {
  readonly copyIn: string;
  readonly onPass: (bytes: number) => void;
}

/** A session inside one transaction under the held snapshot; it serves many batches. */
export interface LargeObjectReader extends AsyncDisposable {
  readonly user: string;
  /** Objects in these ranges, and how many batches they make. */
  count(ranges: readonly OidRange[]): Promise<{ objects: bigint; batches: number }>;
  /** Those with the lowest oids of the range, BATCH_OBJECTS at most. */
  list(range: OidRange, signal: AbortSignal): Promise<LargeObject[]>;
  /** Which of these our account may not read. */
  refused(oids: readonly number[], signal: AbortSignal): Promise<number[]>;
  /** Streams pieces into `writer`, which has its transaction open. Throws COPY_COUNT_DIFFERS, COPY_FAILED or CONNECTION_LOST. */
  send(pieces: PiecesRead, writer: Session, signal: AbortSignal): Promise<CopyResult>;
}

/** Throws SNAPSHOT_LOST when the holder is gone, OTHER_SERVER or POOLER where the connection leads elsewhere. */
export async function openLargeObjectReader(
  options: Omit<ReaderOptions, 'control'>,
): Promise<LargeObjectReader> {
  const { throttle } = options;
  const session = await options.open();
  try {
    await importSnapshot(session, options.held);
  } catch (thrown) {
    await session.end();
    throw thrown;
  }
  return {
    user: session.user,
    count: (ranges) => countObjects(session, ranges),
    list: async ({ first, last }, signal) => {
      await throttle?.beforeQuery(signal);
      return listObjects(session, { first, last });
    },
    refused: async (oids, signal) => {
      await throttle?.beforeQuery(signal);
      if (await mayRead(session, oids)) return [];
      const refused: number[] = [];
      for (const oid of oids) if (!(await mayRead(session, [oid]))) refused.push(oid);
      return refused;
    },
    send: async (pieces, writer, signal) => {
      await throttle?.beforeQuery(signal);
      const pace = throttle?.forUnit() ?? null;
      const statements = { out: copyOut(pieces), in: pieces.copyIn, onPass: pieces.onPass, pace };
      const result = await relayCopy(session, writer, statements, signal).catch((thrown: unknown) => {
        throw explain(thrown, pieces);
      });
      const expected = pieces.oids.length * pieces.count;
      if (result.rowsOut === expected && result.rowsIn === expected) return result;
      const counts = { sent: result.rowsOut, received: result.rowsIn };
      throw new AppError('COPY_COUNT_DIFFERS', { table: named(pieces.oids), ...counts });
    },
    [Symbol.asyncDispose]: () => session.end(),
  };
}

async function countObjects(
  session: Session,
  ranges: readonly OidRange[],
): Promise<{ objects: bigint; batches: number }> {
  const { objects, batches } = await session.one(
    `SELECT sum(c.n)::text AS objects, sum((c.n + ${BATCH_OBJECTS - 1}) / ${BATCH_OBJECTS})::text AS batches
       FROM (SELECT (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata m
                      WHERE m.oid >= (r.value ->> 0)::pg_catalog.oid AND m.oid <= (r.value ->> 1)::pg_catalog.oid) AS n
               FROM pg_catalog.json_array_elements($1::json) r) c`,
    [JSON.stringify(ranges.map(({ first, last }) => [first, last]))],
  );
  return { objects: BigInt(objects ?? '0'), batches: Number(batches ?? '0') };
}

async function listObjects(session: Session, { first, last }: OidRange): Promise<LargeObject[]> {
  const rows = await session.query(
    `SELECT m.oid::text AS oid, r.rolname AS owner
       FROM (SELECT m.oid, m.lomowner FROM pg_catalog.pg_largeobject_metadata m
              WHERE m.oid >= $1::pg_catalog.oid AND m.oid <= $2::pg_catalog.oid ORDER BY m.oid LIMIT ${BATCH_OBJECTS}) m
       LEFT JOIN pg_catalog.pg_roles r ON r.oid = m.lomowner ORDER BY m.oid`,
    [String(first), String(last)],
  );
  return rows.map((row) => ({ oid: Number(row.oid), owner: row.owner ?? null }));
}

/** Asked by trying: what grants the right differs between versions. Nothing is read of the objects. */
async function mayRead(session: Session, oids: readonly number[]): Promise<boolean> {
  await session.query('SAVEPOINT reading');
  try {
    await session.query(
      'SELECT count(pg_catalog.lo_get(o.oid, 0, 0)) FROM pg_catalog.unnest($1::pg_catalog.oid[]) o(oid)',
      [oidArray(oids)],
    );
    await session.query('RELEASE SAVEPOINT reading');
    return true;
  } catch (thrown) {
    if (sqlstateOf(thrown) !== SQLSTATE.insufficientPrivilege) throw thrown;
    await session.query('ROLLBACK TO SAVEPOINT reading; RELEASE SAVEPOINT reading');
    return false;
  }
}

function copyOut({ oids, from, count }: Pieces): string {
  const last = from + (count - 1) * PIECE_BYTES;
  return `COPY (SELECT o.oid, p.at, pg_catalog.lo_get(o.oid, p.at, ${PIECE_BYTES})
    FROM pg_catalog.unnest('${oidArray(oids)}'::pg_catalog.oid[]) o(oid),
         pg_catalog.generate_series('${from}'::pg_catalog.int8, '${last}'::pg_catalog.int8, '${PIECE_BYTES}'::pg_catalog.int8) p(at)) TO STDOUT (FORMAT binary)`;
}

function oidArray(oids: readonly number[]): string {
  return `{${oids.join(',')}}`;
}

/** The error about objects that our account may not read. */
export function notReadable(refused: readonly number[], user: string): AppError {
  const oids = refused.toSorted((a, b) => a - b);
  const shown = oids.slice(0, NAMED).join(', ');
  const more = oids.length > NAMED ? ` and ${oids.length - NAMED} more` : '';
  return new AppError('RIGHTS_MISSING', {
    user,
    action: `read large object${oids.length > 1 ? 's' : ''} ${shown}${more}`,
    side: 'source',
    remedy: `As their owner run: GRANT SELECT ON LARGE OBJECT ${shown} TO ${ident(user)};   -- or migrate as their owner or a superuser`,
  });
}

/** A batch by its ends, for error texts. */
function named(oids: readonly number[]): string {
  const [first, last] = [oids[0], oids.at(-1)];
  return first === last ? `large object ${first}` : `large objects ${first} to ${last}`;
}

function explain(thrown: unknown, { oids }: Pieces): unknown {
  if (!(thrown instanceof CopyError)) return thrown;
  if (thrown.cause instanceof AppError) return thrown.cause;
  const { side, message, sqlstate } = thrown;
  return new AppError('COPY_FAILED', { table: named(oids), side, problem: message, sqlstate }, thrown);
}

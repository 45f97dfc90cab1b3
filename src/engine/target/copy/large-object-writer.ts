/**
 * Writes batches of large objects (P4): fence check, the objects, the entry in the books, one transaction. Their pieces arrive in a
 * temporary table first, because COPY cannot write large objects; from there the server writes them itself.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import {
  PIECE_BYTES,
  type LargeObject,
  type LargeObjectBatch,
  type Pieces,
} from '../../change/large-object.ts';
import { without } from '../../change/oid-range.ts';
import { ident } from '../../pg/ident.ts';
import { PgError } from '../../pg/pg-error.ts';
import type { Session } from '../../pg/session.ts';
import { openChunkWriter } from './chunk-writer.ts';
import { isRecorded, recordRanges } from '../books/large-object-books.ts';
import { holdFence } from '../books/task-row.ts';

export interface LargeObjectWrite {
  readonly taskId: string;
  readonly fence: bigint;
  readonly batch: LargeObjectBatch;
  /** Objects of the batch that stay undone: the source does not let us read them. */
  readonly refused: readonly number[];
  /** Objects that the target has already stay as they are (conflict mode ignore). */
  readonly keep: boolean;
  readonly snapshot: string;
  readonly beforeCommit: () => void;
}

export interface WrittenObjects {
  readonly made: number;
  readonly skipped: number;
  readonly bytes: bigint;
  /** Owners on the source whom the objects could not be given to, each with how many. */
  readonly ownerless: ReadonlyMap<string, number>;
}

export interface LargeObjectWriter extends AsyncDisposable {
  readonly session: Session;
  /** `receive` fills the temporary table with pieces through the session and returns their bytes. Null: done already. */
  write(
    write: LargeObjectWrite,
    receive: (pieces: Pieces) => Promise<number>,
  ): Promise<WrittenObjects | null>;
}

/** Most that waits in the temporary table, unless every object of a batch needs one piece. */
const ROUND_PIECES = 64;
const STAGE = 'pg_temp.opendts_large_object';
/** The statement that takes the pieces in. */
export const COPY_PIECES_IN = `COPY ${STAGE} FROM STDIN (FORMAT binary)`;

export async function openLargeObjectWriter(open: () => Promise<Session>): Promise<LargeObjectWriter> {
  const chunkWriter = await openChunkWriter(open);
  const { session } = chunkWriter;
  try {
    // Emptied, not dropped, at each commit: a table made for each of many thousand batches would bloat the catalog.
    // The pieces stay for a moment only: compressing them would cost more than it saves.
    await session.query(
      `CREATE TEMP TABLE opendts_large_object (object pg_catalog.oid, at pg_catalog.int8, piece pg_catalog.bytea) ON COMMIT DELETE ROWS;
       ALTER TABLE ${STAGE} ALTER COLUMN piece SET STORAGE EXTERNAL`,
    );
  } catch (thrown) {
    session.destroy();
    throw explained(thrown);
  }
  const owners = new Map<string, boolean>();
  return {
    session,
    write: async (write, receive) => {
      try {
        return await session.transaction(() => writeBatch(session, write, { receive, owners }));
      } catch (thrown) {
        throw explained(thrown);
      }
    },
    [Symbol.asyncDispose]: () => chunkWriter[Symbol.asyncDispose](),
  };
}

interface Means {
  readonly receive: (pieces: Pieces) => Promise<number>;
  /** Whether an owner can be set, as far as it was asked. */
  readonly owners: Map<string, boolean>;
}

async function writeBatch(
  session: Session,
  write: LargeObjectWrite,
  { receive, owners }: Means,
): Promise<WrittenObjects | null> {
  const { taskId, batch, refused } = write;
  await holdFence(session, taskId, write.fence);
  // A commit of ours whose answer was lost counts.
  if (await isRecorded(session, taskId, batch)) return null;
  const readable = batch.objects.filter(({ oid }) => !refused.includes(oid));
  const present = write.keep ? await presentOf(session, readable) : new Set<number>();
  const objects = readable.filter(({ oid }) => !present.has(oid));
  const bytes = await fill(session, objects, receive);
  const ownerless = await giveAway(session, objects, owners);
  const ranges = without(batch, refused).map(({ first, last }, at) => {
    const isIn = (oid: number) => oid >= first && oid <= last;
    return {
      first,
      last,
      snapshot: write.snapshot,
      made: objects.map(({ oid }) => oid).filter(isIn),
      skipped: [...present].filter(isIn).length,
      // Counted for the batch as a whole, so they stand with its first range.
      bytes: at === 0 ? BigInt(bytes) : 0n,
    };
  });
  await recordRanges(session, taskId, ranges);
  write.beforeCommit();
  return { made: objects.length, skipped: present.size, bytes: BigInt(bytes), ownerless };
}

async function presentOf(session: Session, objects: readonly LargeObject[]): Promise<Set<number>> {
  const rows = await session.query(
    'SELECT m.oid::text AS oid FROM pg_catalog.pg_largeobject_metadata m WHERE m.oid = ANY ($1::pg_catalog.oid[])',
    [`{${objects.map(({ oid }) => oid).join(',')}}`],
  );
  return new Set(rows.map(({ oid }) => Number(oid)));
}

/** One piece of each object, then in rounds more of those that were full. Returns the bytes received. */
async function fill(
  session: Session,
  objects: readonly LargeObject[],
  receive: Means['receive'],
): Promise<number> {
  let bytes = 0;
  let from = 0;
  let open = objects.map(({ oid }) => oid);
  while (open.length > 0) {
    const count = from === 0 ? 1 : Math.max(1, Math.floor(ROUND_PIECES / open.length));
    bytes += await receive({ oids: open, from, count });
    if (from === 0) await session.query(`SELECT pg_catalog.lo_create(s.object) FROM ${STAGE} s`);
    await session.query(
      `SELECT pg_catalog.lo_put(s.object, s.at, s.piece) FROM ${STAGE} s WHERE pg_catalog.octet_length(s.piece) > 0`,
    );
    from += count * PIECE_BYTES;
    const full = await session.query(
      `SELECT s.object::text AS oid FROM ${STAGE} s WHERE s.at = $1::bigint AND pg_catalog.octet_length(s.piece) = ${PIECE_BYTES}`,
      [String(from - PIECE_BYTES)],
    );
    open = full.map(({ oid }) => Number(oid));
    if (open.length > 0) await session.query(`TRUNCATE ${STAGE}`);
  }
  return bytes;
}

/** Gives the objects to their owners, where there are such roles here and we may. Returns whom not, each with how many objects. */
async function giveAway(
  session: Session,
  objects: readonly LargeObject[],
  known: Map<string, boolean>,
): Promise<Map<string, number>> {
  const owners = [...new Set(objects.map(({ owner }) => owner ?? ''))];
  const unknown = owners.filter((owner) => !known.has(owner));
  for (const owner of unknown) known.set(owner, false);
  for (const row of unknown.length > 0 ? await readGivable(session, unknown) : [])
    known.set(row.role ?? '', true);
  const given = objects.flatMap(({ oid, owner }) =>
    owner !== null && known.get(owner) ? [`ALTER LARGE OBJECT ${oid} OWNER TO ${ident(owner)}`] : [],
  );
  if (given.length > 0) await session.query(given.join('; '));
  const ownerless = new Map<string, number>();
  for (const { owner } of objects) {
    const name = owner ?? '(dropped role)';
    if (owner === null || !known.get(owner)) ownerless.set(name, (ownerless.get(name) ?? 0) + 1);
  }
  return ownerless;
}

/** What we could not remove again we do not give away: a later snapshot may ask for that. */
function readGivable(session: Session, owners: readonly string[]): ReturnType<Session['query']> {
  const right = session.version >= 160_000 ? 'SET' : 'MEMBER';
  return session.query(
    `SELECT r.rolname AS role FROM pg_catalog.pg_roles r
      WHERE r.rolname IN (SELECT o.value FROM pg_catalog.json_array_elements_text($1::json) o)
        AND pg_catalog.pg_has_role(r.oid, '${right}') AND pg_catalog.pg_has_role(r.oid, 'USAGE')`,
    [JSON.stringify(owners)],
  );
}

function explained(thrown: unknown): unknown {
  if (!(thrown instanceof PgError)) return thrown;
  const { shown, sqlstate } = thrown;
  return new AppError(
    'COPY_FAILED',
    { table: 'large objects', side: 'target', problem: shown, sqlstate },
    thrown,
  );
}

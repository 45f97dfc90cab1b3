/**
 * Writes copy chunks (P4): fence check, the rows, the done rows, one transaction. What failed leaves nothing, and what was committed
 * without its answer arriving is found done at the next start.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { formatLsn, type Lsn } from '../../change/lsn.ts';
import { SQLSTATE, sqlstateOf } from '../../pg/pg-error.ts';
import type { Session } from '../../pg/session.ts';
import { readDoneChunks, type DoneChunk } from '../books/done-chunks.ts';
import type { LoadPlan } from './load-plan.ts';
import { silenceTriggers } from '../silence-triggers.ts';
import { holdCopyFence } from '../books/task-row.ts';

/** Chunks that share one transaction: one of a large table, or many small tables. */
export interface ChunkWrite {
  readonly taskId: string;
  readonly copyFence: bigint;
  readonly chunks: readonly { readonly id: string; readonly load: LoadPlan }[];
  readonly snapshot: string | null;
  readonly readUntil: Lsn | null;
  readonly beforeCommit: () => void;
}

/** What one chunk brought. */
export interface Received {
  readonly rowsIn: number;
  readonly bytes: number;
}

/** A session that loads chunks. */
export interface ChunkWriter extends AsyncDisposable {
  readonly session: Session;
  /** `receive` fills one chunk's table through the session and returns what arrived; called for each chunk in order. */
  write(write: ChunkWrite, receive: (id: string) => Promise<Received>): Promise<DoneChunk[]>;
}

export async function openChunkWriter(open: () => Promise<Session>): Promise<ChunkWriter> {
  const session = await open();
  // For copying only: "done" is read back from the target, so a commit that a crash loses is simply copied again.
  try {
    await session.query('SET synchronous_commit = off');
    await silenceTriggers(session);
  } catch (thrown) {
    session.destroy();
    throw thrown;
  }
  return {
    session,
    write: (write, receive) => writeChunks(session, write, receive),
    [Symbol.asyncDispose]: () => session.end(),
  };
}

async function writeChunks(
  writer: Session,
  write: ChunkWrite,
  receive: (id: string) => Promise<Received>,
): Promise<DoneChunk[]> {
  return writer.transaction(async () => {
    await holdCopyFence(writer, write.taskId, write.copyFence);
    // A commit of ours whose answer was lost counts: what it brought is not copied a second time.
    const ids = write.chunks.map(({ id }) => id);
    const before = await readDoneChunks(writer, write.taskId, ids);
    const done: DoneChunk[] = [];
    for (const { id, load } of write.chunks) {
      if (before.some((earlier) => earlier.id === id)) continue;
      if (load.before !== null) await writer.query(load.before);
      const { rowsIn, bytes } = await receive(id);
      const rows = load.after === null ? rowsIn : await writer.count(load.after);
      done.push({
        id,
        snapshot: write.snapshot,
        readUntil: write.readUntil,
        rows: BigInt(rows),
        skipped: BigInt(rowsIn - rows),
        bytes: BigInt(bytes),
      });
    }
    await recordChunks(writer, write, done);
    write.beforeCommit();
    return [...before, ...done];
  });
}

/** Throws CONNECTION_LOST when a lost commit of ours arrives at this moment with the same chunks: then this one is void and tried again. */
async function recordChunks(writer: Session, write: ChunkWrite, done: readonly DoneChunk[]): Promise<void> {
  const rows = done.map(({ id, rows, skipped, bytes }) => [id, String(rows), String(skipped), String(bytes)]);
  try {
    await writer.query(
      `INSERT INTO _opendts.copy_chunk (task_id, chunk, snapshot, read_until, rows, skipped, bytes)
         SELECT $1, c.value ->> 0, $3, $4, (c.value ->> 1)::bigint, (c.value ->> 2)::bigint, (c.value ->> 3)::bigint
           FROM pg_catalog.json_array_elements($2::json) c`,
      [
        write.taskId,
        JSON.stringify(rows),
        write.snapshot,
        write.readUntil === null ? null : formatLsn(write.readUntil),
      ],
    );
  } catch (thrown) {
    if (sqlstateOf(thrown) !== SQLSTATE.uniqueViolation) throw thrown;
    throw new AppError(
      'CONNECTION_LOST',
      { side: 'target', problem: 'a commit whose answer was lost has arrived after all' },
      thrown,
    );
  }
}

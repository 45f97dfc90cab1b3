/** The books of the copy on the target: how each table was cut, and which chunks are done, each under which snapshot. */
import type { Cut } from '../../change/cut.ts';
import { formatLsn, parseLsn, type Lsn } from '../../change/lsn.ts';
import type { Session } from '../../pg/session.ts';
import { holdFence } from './task-row.ts';

export interface DoneChunk {
  /** As chunkId() made it. */
  readonly id: string;
  /** What it was read under; null means S1, under which every streamed change applies. */
  readonly snapshot: string | null;
  readonly readUntil: Lsn | null;
  readonly rows: bigint;
  /** Rows of the source that the target had already (conflict mode ignore). */
  readonly skipped: bigint;
  readonly bytes: bigint;
}

/** Of these chunks, or of all. */
export async function readDoneChunks(
  session: Session,
  taskId: string,
  ids: readonly string[] | null = null,
): Promise<DoneChunk[]> {
  const rows = await session.query(
    `SELECT chunk, snapshot, read_until, rows, skipped, bytes FROM _opendts.copy_chunk
      WHERE task_id = $1 AND ($2::json IS NULL OR chunk IN (SELECT c.value FROM pg_catalog.json_array_elements_text($2::json) c))`,
    [taskId, ids && JSON.stringify(ids)],
  );
  return rows.map((row) => ({
    id: row.chunk ?? '',
    snapshot: row.snapshot ?? null,
    readUntil: row.read_until ? parseLsn(row.read_until) : null,
    rows: BigInt(row.rows ?? '0'),
    skipped: BigInt(row.skipped ?? '0'),
    bytes: BigInt(row.bytes ?? '0'),
  }));
}

/** The cuts on record by table, under the id that the table has as a whole. A table without one has not been begun, or is not cut. */
export async function readCuts(session: Session, taskId: string): Promise<Map<string, Cut>> {
  const rows = await session.query('SELECT table_id, cut FROM _opendts.copy_cut WHERE task_id = $1', [
    taskId,
  ]);
  return new Map(rows.map((row) => [row.table_id ?? '', JSON.parse(row.cut ?? '') as Cut]));
}

interface Task {
  readonly taskId: string;
  readonly fence: bigint;
}

/** Before the first chunk of these tables is copied: a restart must cut them at the same places. */
export async function recordCuts(
  session: Session,
  { taskId, fence }: Task,
  cuts: ReadonlyMap<string, Cut>,
): Promise<void> {
  if (cuts.size === 0) return;
  await session.transaction(async () => {
    await holdFence(session, taskId, fence);
    await session.query(
      `INSERT INTO _opendts.copy_cut (task_id, table_id, cut)
         SELECT $1, c.value ->> 0, c.value ->> 1 FROM pg_catalog.json_array_elements($2::json) c`,
      [taskId, JSON.stringify([...cuts].map(([table, cut]) => [table, JSON.stringify(cut)]))],
    );
  });
}

/** Chunks whose rows the source has not changed since count as read under this later snapshot. */
export async function restampChunks(
  session: Session,
  { taskId, fence }: Task,
  { ids, snapshot, readUntil }: { ids: readonly string[]; snapshot: string; readUntil: Lsn },
): Promise<void> {
  if (ids.length === 0) return;
  await session.transaction(async () => {
    await holdFence(session, taskId, fence);
    await session.query(
      `UPDATE _opendts.copy_chunk SET snapshot = $3, read_until = $4
        WHERE task_id = $1 AND chunk IN (SELECT c.value FROM pg_catalog.json_array_elements_text($2::json) c)`,
      [taskId, JSON.stringify(ids), snapshot, formatLsn(readUntil)],
    );
  });
}

/** Forgets chunks, and with `tables` how those were cut; inside the transaction that takes their rows out. */
export async function forgetChunks(
  session: Session,
  taskId: string,
  { ids, tables }: { ids: readonly string[]; tables: readonly string[] },
): Promise<void> {
  await session.query(
    'DELETE FROM _opendts.copy_chunk WHERE task_id = $1 AND chunk IN (SELECT c.value FROM pg_catalog.json_array_elements_text($2::json) c)',
    [taskId, JSON.stringify(ids)],
  );
  await session.query(
    'DELETE FROM _opendts.copy_cut WHERE task_id = $1 AND table_id IN (SELECT c.value FROM pg_catalog.json_array_elements_text($2::json) c)',
    [taskId, JSON.stringify(tables)],
  );
}

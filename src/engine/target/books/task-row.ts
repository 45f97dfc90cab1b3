/** The task's row on the target: its phase, its slot, and the fence that keeps a former owner out (I7). */
import { AppError } from '../../../base/errors/app-error.ts';
import { parseLsn, type Lsn } from '../../change/lsn.ts';
import type { QualifiedName } from '../../change/relation.ts';
import type { Session } from '../../pg/session.ts';
import type { Decoder } from '../../pg/slot/decoder.ts';
import { SQLSTATE, sqlstateOf } from '../../pg/pg-error.ts';
import { insertTaskTables, type TaskTable } from './task-tables.ts';

/** How far the task is, on the target; each is left for good once its work has committed. */
export const TASK_PHASES = ['schema', 'slot', 'copy', 'index', 'stream', 'done'] as const;
export type TaskPhase = (typeof TASK_PHASES)[number];

export interface TaskRow {
  readonly taskId: string;
  readonly sourceSystem: string;
  readonly sourceDatabase: string;
  /** Canonical JSON of what was asked for, without connections. */
  readonly options: string;
  readonly phase: TaskPhase;
  readonly fence: bigint;
  /** Of the transactions that copy: none of an earlier snapshot can commit once it is raised. */
  readonly copyFence: bigint;
  readonly slot: {
    readonly lsn: Lsn;
    readonly snapshot: string;
    readonly timeline: number;
    /** What decodes the changes for it, for as long as it lives. */
    readonly decoder: Decoder;
  } | null;
}

const COLUMNS =
  'task_id, source_system, source_database, options, phase, fence, copy_fence, slot_lsn, slot_snapshot, slot_timeline, slot_decoder';

function fromRow(row: Readonly<Record<string, string | null>>): TaskRow {
  return {
    taskId: row.task_id ?? '',
    sourceSystem: row.source_system ?? '',
    sourceDatabase: row.source_database ?? '',
    options: row.options ?? '',
    phase: row.phase as TaskPhase,
    fence: BigInt(row.fence ?? '0'),
    copyFence: BigInt(row.copy_fence ?? '0'),
    slot: row.slot_lsn
      ? {
          lsn: parseLsn(row.slot_lsn),
          snapshot: row.slot_snapshot ?? '',
          timeline: Number(row.slot_timeline),
          decoder: row.slot_decoder === 'test_decoding' ? 'test_decoding' : 'pgoutput',
        }
      : null,
  };
}

export async function readTasks(session: Session): Promise<TaskRow[]> {
  return (await session.query(`SELECT ${COLUMNS} FROM _opendts.task ORDER BY created_at, task_id`)).map(
    fromRow,
  );
}

export type NewTask = Pick<TaskRow, 'taskId' | 'sourceSystem' | 'sourceDatabase' | 'options' | 'phase'>;

/** Registers the task with the tables it is about, in one transaction. Of two that begin it at the same moment the first counts. */
export async function registerTask(
  session: Session,
  task: NewTask,
  tables: readonly TaskTable[],
): Promise<void> {
  await session.transaction(async () => {
    await session.query(
      `INSERT INTO _opendts.task (task_id, source_system, source_database, options, phase, fence) VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING`,
      [task.taskId, task.sourceSystem, task.sourceDatabase, task.options, task.phase],
    );
    await insertTaskTables(session, task.taskId, tables);
  });
}

/** Tables that have come into the selection since. */
export async function addTaskTables(
  session: Session,
  { taskId, fence }: { taskId: string; fence: bigint },
  tables: readonly TaskTable[],
): Promise<void> {
  await session.transaction(async () => {
    await holdFence(session, taskId, fence);
    await insertTaskTables(session, taskId, tables);
  });
}

const RAISE_ATTEMPTS = 30;

/**
 * Raises the fence on the task and all its lanes in one transaction and returns the task as it then is: from here on no transaction
 * of a former owner can commit. The caller has asked the old owner's backends to end before. `whileRaised` runs before the new fence
 * commits: whoever reads the fence meanwhile waits, and is then told that it is no longer the owner.
 */
export async function takeOver(
  session: Session,
  taskId: string,
  whileRaised: () => Promise<void> = async () => {},
): Promise<TaskRow> {
  return raising(session, { taskId, held: ['task', 'lane'] }, async () => {
    const row = await session.one(
      `UPDATE _opendts.task SET fence = fence + 1, copy_fence = copy_fence + 1 WHERE task_id = $1 RETURNING ${COLUMNS}`,
      [taskId],
    );
    await session.query('UPDATE _opendts.lane SET fence = $2 WHERE task_id = $1', [
      taskId,
      row.fence ?? null,
    ]);
    await whileRaised();
    return fromRow(row);
  });
}

/**
 * No transaction that copies, begun before, can commit from here on; those that have committed can be read. Returns the new fence.
 * The task's own sessions that copy may be ended for it.
 */
export async function raiseCopyFence(
  session: Session,
  { taskId, fence }: { taskId: string; fence: bigint },
): Promise<bigint> {
  return raising(session, { taskId, held: ['task'] }, async () => {
    const [row] = await session.query(
      'UPDATE _opendts.task SET copy_fence = copy_fence + 1 WHERE task_id = $1 AND fence = $2 RETURNING copy_fence',
      [taskId, String(fence)],
    );
    if (!row) throw new AppError('FENCED', { theirs: 'another', ours: fence });
    return BigInt(row.copy_fence ?? '0');
  });
}

/** Whose fence is raised, and which of our tables' rows hold it. */
interface Fenced {
  readonly taskId: string;
  readonly held: readonly ('task' | 'lane')[];
}

/**
 * In one transaction that does not wait long for whoever holds the fence: those are ended. Holders that follow one another closely are
 * each waited for anew, so the statement as a whole has a limit as well.
 */
export async function raising<T>(session: Session, of: Fenced, raise: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await session.transaction(async () => {
        await session.query("SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '2s'");
        return raise();
      });
    } catch (thrown) {
      const state = sqlstateOf(thrown);
      const isHeld = state === SQLSTATE.lockNotAvailable || state === SQLSTATE.queryCanceled;
      if (!isHeld || attempt >= RAISE_ATTEMPTS) throw thrown;
      await endBlockers(session, of);
    }
  }
}

/** A former owner's session may have begun between the first sweep and now; one that copies may hang. */
async function endBlockers(session: Session, { taskId, held }: Fenced): Promise<void> {
  await session.query(
    `SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a
       JOIN pg_catalog.pg_locks l ON l.pid = a.pid AND l.relation = ANY ($2::pg_catalog.regclass[])
      WHERE a.application_name LIKE $1 AND a.usename = current_user AND a.pid <> pg_catalog.pg_backend_pid()`,
    [`opendts:${taskId}:%`, `{${held.map((table) => `_opendts.${table}`).join(',')}}`],
  );
}

/** First statement of a transaction that copies a chunk: holds the copy's fence where it is, or throws FENCED. */
export async function holdCopyFence(session: Session, taskId: string, copyFence: bigint): Promise<void> {
  const [row] = await session.query('SELECT copy_fence FROM _opendts.task WHERE task_id = $1 FOR SHARE', [
    taskId,
  ]);
  if (row?.copy_fence !== String(copyFence))
    throw new AppError('FENCED', { theirs: row?.copy_fence ?? 'none', ours: copyFence });
}

/** First statement of every target transaction that is not a lane's: holds the fence where it is, or throws FENCED. */
export async function holdFence(session: Session, taskId: string, fence: bigint): Promise<void> {
  const [row] = await session.query('SELECT fence FROM _opendts.task WHERE task_id = $1 FOR SHARE', [taskId]);
  if (row?.fence !== String(fence))
    throw new AppError('FENCED', { theirs: row?.fence ?? 'none', ours: fence });
}

export async function setPhase(
  session: Session,
  task: { taskId: string; fence: bigint },
  phase: TaskPhase,
): Promise<void> {
  await session.transaction(async () => {
    await holdFence(session, task.taskId, task.fence);
    await session.query('UPDATE _opendts.task SET phase = $2 WHERE task_id = $1', [task.taskId, phase]);
  });
}

/** How far the stream has been applied: the slot's start before its first commit. */
export async function recordedEnd(session: Session, taskId: string): Promise<Lsn> {
  const { end } = await session.one(
    'SELECT end_lsn::text AS end FROM _opendts.lane WHERE task_id = $1 AND lane = 0',
    [taskId],
  );
  return parseLsn(end ?? '');
}

/** A table of the source that we give REPLICA IDENTITY FULL, and what it had: the words after REPLICA IDENTITY. */
export interface SourceIdentity extends QualifiedName {
  readonly oid: number;
  readonly identity: string;
}

/** The first time counts: what a table had when we found it. */
export async function rememberSourceIdentity(
  session: Session,
  taskId: string,
  { oid, schema, name, identity }: SourceIdentity,
): Promise<void> {
  await session.query(
    `INSERT INTO _opendts.source_identity (task_id, table_oid, schema_name, table_name, identity) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (task_id, table_oid) DO NOTHING`,
    [taskId, String(oid), schema, name, identity],
  );
}

export async function readSourceIdentities(session: Session, taskId: string): Promise<SourceIdentity[]> {
  const rows = await session.query(
    `SELECT table_oid::text AS oid, schema_name, table_name, identity FROM _opendts.source_identity
      WHERE task_id = $1 ORDER BY schema_name, table_name`,
    [taskId],
  );
  return rows.map((row) => ({
    oid: Number(row.oid),
    schema: row.schema_name ?? '',
    name: row.table_name ?? '',
    identity: row.identity ?? '',
  }));
}

/**
 * Writes copy units (P4): fence check, the rows, the done rows, one transaction. What failed leaves nothing, and what was committed
 * without its answer arriving is found done at the next start.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { parseLsn, formatLsn, type Lsn } from '../change/lsn.ts';
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { silenceTriggers } from './silence-triggers.ts';
import { holdFence } from './task-row.ts';

/** What a done unit was read under; snapshot null means S1, under which every streamed change applies. */
export interface DoneUnit {
  readonly unit: string;
  readonly snapshot: string | null;
  readonly readUntil: Lsn | null;
  readonly rows: bigint;
  readonly bytes: bigint;
}

/** Of these units, or of all. */
export async function readDoneUnits(
  session: Session,
  taskId: string,
  units: readonly string[] | null = null,
): Promise<DoneUnit[]> {
  const rows = await session.query(
    `SELECT unit, snapshot, read_until, rows, bytes FROM _opendts.copy_unit
      WHERE task_id = $1 AND ($2::json IS NULL OR unit IN (SELECT u.value FROM pg_catalog.json_array_elements_text($2::json) u))`,
    [taskId, units && JSON.stringify(units)],
  );
  return rows.map((row) => ({
    unit: row.unit ?? '',
    snapshot: row.snapshot ?? null,
    readUntil: row.read_until ? parseLsn(row.read_until) : null,
    rows: BigInt(row.rows ?? '0'),
    bytes: BigInt(row.bytes ?? '0'),
  }));
}

/** Units that share one transaction: one large table, or many small ones. */
export interface UnitWrite {
  readonly taskId: string;
  readonly fence: bigint;
  readonly units: readonly string[];
  readonly snapshot: string | null;
  readonly readUntil: Lsn | null;
  readonly beforeCommit: () => void;
}

/** What one unit brought. */
export interface Received {
  readonly rowsIn: number;
  readonly bytes: number;
}

/** A session that loads units. */
export interface UnitWriter extends AsyncDisposable {
  readonly session: Session;
  /** `receive` fills one unit's table through the session and returns what arrived; called for each unit in order. */
  write(write: UnitWrite, receive: (unit: string) => Promise<Received>): Promise<DoneUnit[]>;
}

export async function openUnitWriter(open: () => Promise<Session>): Promise<UnitWriter> {
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
    write: (write, receive) => writeUnits(session, write, receive),
    [Symbol.asyncDispose]: () => session.end(),
  };
}

async function writeUnits(
  writer: Session,
  write: UnitWrite,
  receive: (unit: string) => Promise<Received>,
): Promise<DoneUnit[]> {
  return writer.transaction(async () => {
    await holdFence(writer, write.taskId, write.fence);
    // A commit of ours whose answer was lost counts: what it brought is not copied a second time.
    const before = await readDoneUnits(writer, write.taskId, write.units);
    const done: DoneUnit[] = [];
    for (const unit of write.units) {
      if (before.some((earlier) => earlier.unit === unit)) continue;
      const { rowsIn, bytes } = await receive(unit);
      done.push({
        unit,
        snapshot: write.snapshot,
        readUntil: write.readUntil,
        rows: BigInt(rowsIn),
        bytes: BigInt(bytes),
      });
    }
    await recordUnits(writer, write, done);
    write.beforeCommit();
    return [...before, ...done];
  });
}

/** Throws CONNECTION_LOST when a lost commit of ours arrives at this moment with the same units: then this one is void and tried again. */
async function recordUnits(writer: Session, write: UnitWrite, done: readonly DoneUnit[]): Promise<void> {
  try {
    await writer.query(
      `INSERT INTO _opendts.copy_unit (task_id, unit, snapshot, read_until, rows, bytes)
         SELECT $1, u.value ->> 0, $3, $4, (u.value ->> 1)::bigint, (u.value ->> 2)::bigint FROM pg_catalog.json_array_elements($2::json) u`,
      [
        write.taskId,
        JSON.stringify(done.map(({ unit, rows, bytes }) => [unit, String(rows), String(bytes)])),
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

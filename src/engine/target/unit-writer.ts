/**
 * Writes copy units (P4): fence check, the rows, the done rows, one transaction. What failed leaves nothing, and what was committed
 * without its answer arriving is found done at the next start.
 */
import { parseLsn, formatLsn, type Lsn } from '../change/lsn.ts';
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

export async function readDoneUnits(session: Session, taskId: string): Promise<DoneUnit[]> {
  const rows = await session.query(
    'SELECT unit, snapshot, read_until, rows, bytes FROM _opendts.copy_unit WHERE task_id = $1',
    [taskId],
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
  await session.query('SET synchronous_commit = off');
  await silenceTriggers(session);
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
    const done: DoneUnit[] = [];
    for (const unit of write.units) {
      const { rowsIn, bytes } = await receive(unit);
      done.push({
        unit,
        snapshot: write.snapshot,
        readUntil: write.readUntil,
        rows: BigInt(rowsIn),
        bytes: BigInt(bytes),
      });
    }
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
    write.beforeCommit();
    return done;
  });
}

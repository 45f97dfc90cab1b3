/**
 * Writes one copy unit (P4): fence check, the rows, the done row, one transaction. A unit that failed leaves nothing, and one whose
 * commit answer was lost is found done at the next start.
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

export interface UnitWrite {
  readonly taskId: string;
  readonly fence: bigint;
  readonly unit: string;
  readonly snapshot: string | null;
  readonly readUntil: Lsn | null;
  readonly beforeCommit: () => void;
}

/** A session that loads units, one transaction each. */
export interface UnitWriter extends AsyncDisposable {
  readonly session: Session;
  /** `receive` fills the table through the session and returns what arrived. */
  write(write: UnitWrite, receive: () => Promise<{ rowsIn: number; bytes: number }>): Promise<DoneUnit>;
}

export async function openUnitWriter(open: () => Promise<Session>): Promise<UnitWriter> {
  const session = await open();
  // For copying only: "done" is read back from the target, so a commit that a crash loses is simply copied again.
  await session.query('SET synchronous_commit = off');
  await silenceTriggers(session);
  return {
    session,
    write: (write, receive) => writeUnit(session, write, receive),
    [Symbol.asyncDispose]: () => session.end(),
  };
}

async function writeUnit(
  writer: Session,
  write: UnitWrite,
  receive: () => Promise<{ rowsIn: number; bytes: number }>,
): Promise<DoneUnit> {
  return writer.transaction(async () => {
    await holdFence(writer, write.taskId, write.fence);
    const { rowsIn, bytes } = await receive();
    const done = {
      unit: write.unit,
      snapshot: write.snapshot,
      readUntil: write.readUntil,
      rows: BigInt(rowsIn),
      bytes: BigInt(bytes),
    };
    await writer.query(
      'INSERT INTO _opendts.copy_unit (task_id, unit, snapshot, read_until, rows, bytes) VALUES ($1, $2, $3, $4, $5, $6)',
      [
        write.taskId,
        done.unit,
        done.snapshot,
        done.readUntil === null ? null : formatLsn(done.readUntil),
        String(done.rows),
        String(done.bytes),
      ],
    );
    write.beforeCommit();
    return done;
  });
}

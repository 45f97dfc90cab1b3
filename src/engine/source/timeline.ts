/**
 * P10: after a failover the new primary's history may have branched off before a position that the target has recorded. What came from
 * the old branch behind that point does not exist on the source any more, and what the new branch wrote there would be skipped. So every
 * recorded position (the lane's, and R of each later snapshot) lies on the recorded timeline; whoever reaches another one looks at its
 * history first, and has it recorded before reading anything from it.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { formatLsn, parseLsn, type Lsn } from '../change/lsn.ts';
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';

export interface Recorded {
  readonly timeline: number;
  /** The newest position that anything on the target is of. */
  readonly newest: Lsn;
}

/**
 * The timeline of the server that a replication session has reached. Throws TIMELINE_LEFT when what is recorded does not lie in its
 * history, SOURCE_FORMER when it is the primary of before a failover that has been followed already.
 */
export async function followTimeline(replication: Session, recorded: Recorded): Promise<number> {
  const { timeline } = await replication.one('IDENTIFY_SYSTEM');
  const current = Number(timeline);
  if (current === recorded.timeline) return current;
  if (current < recorded.timeline)
    throw new AppError('SOURCE_FORMER', { current, recorded: recorded.timeline });
  const left = branchPoint(await readHistory(replication, current), recorded.timeline);
  if (left === null || recorded.newest > left) {
    throw new AppError('TIMELINE_LEFT', {
      from: recorded.timeline,
      to: current,
      recorded: formatLsn(recorded.newest),
      left: left === null ? 'an unknown position' : formatLsn(left),
    });
  }
  return current;
}

/** Empty where the file is gone. */
async function readHistory(replication: Session, timeline: number): Promise<string> {
  try {
    return (await replication.one(`TIMELINE_HISTORY ${timeline}`)).content ?? '';
  } catch (thrown) {
    if (sqlstateOf(thrown) !== SQLSTATE.undefinedFile) throw thrown;
    return '';
  }
}

/** Where a history file says that a timeline was left: lines of `timeline<TAB>LSN<TAB>reason`. Null when it is not an ancestor. */
export function branchPoint(history: string, timeline: number): Lsn | null {
  // Some servers send the file as bytea.
  const text = history.startsWith('\\x') ? Buffer.from(history.slice(2), 'hex').toString('utf8') : history;
  for (const line of text.split('\n')) {
    const match = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line);
    if (match && Number(match[1]) === timeline) return parseLsn(match[2] ?? '');
  }
  return null;
}

/** Of the position that a primary writes right now; the control file would still name the old one for a while after a promotion. */
export async function currentTimeline(source: Session): Promise<number> {
  const { file } = await source.one(
    'SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) AS file',
  );
  return Number.parseInt((file ?? '').slice(0, 8), 16);
}

/** Why a slot is gone, where the source has failed over since; empty where it has not. */
export async function explainGoneSlot(source: Session, timeline: number): Promise<string> {
  const current = await currentTimeline(source);
  if (current === timeline) return '';
  const reason =
    source.version >= 170_000
      ? 'the slot had not been brought over to the new primary, which takes sync_replication_slots = on there before the failover'
      : 'slots of PostgreSQL before 17 do not follow to the new primary';
  return `The source has failed over (timeline ${timeline} to ${current}), and ${reason}. `;
}

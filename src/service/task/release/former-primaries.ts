/**
 * The other hosts of the source's connection string, at cleanup: after a failover the server that was primary before may still hold the
 * task's slot, and fill its disk with WAL (C2). A slot that is a copy of the new primary's goes by itself.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { connect } from '../../../engine/pg/connect.ts';
import { describeEndpoint, type ConnInfo } from '../../../engine/pg/conninfo/conninfo.ts';
import { identify, type DatabaseIdentity } from '../../../engine/pg/identity.ts';
import { literal } from '../../../engine/pg/ident.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { dropSlot } from '../../../engine/source/prepare.ts';
import { currentTimeline } from '../../../engine/source/timeline.ts';
import { sourceNames } from '../../../engine/source/source-names.ts';
import type { TaskRow } from '../../../engine/target/books/task-row.ts';

const CONNECT_S = 10;

export interface SourceHosts {
  readonly info: ConnInfo;
  /** The one that the source's own session has reached. */
  readonly reached: DatabaseIdentity;
}

/** A line for each slot dropped, or to be dropped. Throws SLOT_LEFT, when all others are done, for servers that could not be asked. */
export async function releaseFormerPrimaries(
  { info, reached }: SourceHosts,
  slots: readonly string[],
  dryRun: boolean,
): Promise<string[]> {
  if (info.hosts.length < 2 || slots.length === 0) return [];
  const lines: string[] = [];
  const left: { endpoint: string; problem: string }[] = [];
  for (const host of info.hosts) {
    const one: ConnInfo = {
      ...info,
      hosts: [host],
      targetSessionAttrs: 'any',
      connectTimeoutSeconds: Math.min(info.connectTimeoutSeconds || CONNECT_S, CONNECT_S),
    };
    const endpoint = describeEndpoint(one);
    try {
      await using session = await connect(one, { side: 'source', applicationName: 'opendts:cli:cleanup' });
      if (!isAnotherOf(await identify(session), reached)) continue;
      for (const slot of await readOwnSlots(session, slots)) {
        if (!dryRun) await dropSlot(session, slot);
        lines.push(`replication slot ${slot} on ${endpoint}`);
      }
    } catch (thrown) {
      left.push({ endpoint, problem: thrown instanceof Error ? thrown.message : String(thrown) });
    }
  }
  if (left.length === 0) return lines;
  if (dryRun)
    return [
      ...lines,
      ...left.map(({ endpoint }) => `replication slots on ${endpoint}, which cannot be asked`),
    ];
  throw new AppError('SLOT_LEFT', {
    servers: left.map(({ endpoint }) => endpoint).join(', '),
    problem: left.map(({ problem }) => problem).join(' '),
    command: `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name IN (${slots.map(literal).join(', ')});`,
  });
}

/** Another server of the same cluster. */
function isAnotherOf(found: DatabaseIdentity, reached: DatabaseIdentity): boolean {
  return found.systemIdentifier === reached.systemIdentifier && found.startedAt !== reached.startedAt;
}

/** Those that are no copies of another server's. */
async function readOwnSlots(session: Session, slots: readonly string[]): Promise<string[]> {
  const isOwn = session.version >= 170_000 ? 'NOT (s.synced AND pg_catalog.pg_is_in_recovery())' : 'true';
  const rows = await session.query(
    `SELECT s.slot_name AS name FROM pg_catalog.pg_replication_slots s
      WHERE s.slot_name IN (SELECT n.value FROM pg_catalog.json_array_elements_text($1::json) n)
        AND s.database = pg_catalog.current_database() AND ${isOwn}`,
    [JSON.stringify(slots)],
  );
  return rows.map(({ name }) => name ?? '');
}

/** The slots of tasks whose source has failed over since: only these can be on a former primary. */
export async function slotsLeftBehind(source: Session, tasks: readonly TaskRow[]): Promise<string[]> {
  const timeline = await currentTimeline(source);
  return tasks
    .filter(({ slot }) => slot !== null && slot.timeline !== timeline)
    .map(({ taskId }) => sourceNames(taskId).slot);
}

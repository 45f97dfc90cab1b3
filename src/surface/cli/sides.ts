/** Sessions to the two ends for commands that only look: one each, or as many as are asked for. */
import { connect } from '../../engine/pg/connect.ts';
import { describeEndpoint, type ConnInfo, type Side } from '../../engine/pg/conninfo/conninfo.ts';
import type { Session } from '../../engine/pg/session.ts';
import type { Ends } from './options/task-options.ts';

/** A session of the command `role` to one end. With a signal it is cut when that aborts: a statement may be waiting for a lock. */
export async function openSide(ends: Ends, side: Side, role: string, signal?: AbortSignal): Promise<Session> {
  const session = await connect(ends[side], { side, applicationName: `opendts:cli:${role}` });
  signal?.addEventListener('abort', () => session.destroy(), { once: true });
  return session;
}

/** `user@host:port/database`: how a state directory names an end. */
export function endName(info: ConnInfo): string {
  return `${info.user}@${describeEndpoint(info)}`;
}

/**
 * Which running server a session has reached, and whether directly (data-plane P3): an exported snapshot can be imported only on the
 * server that holds it, and our settings and transactions stand only on a connection that nobody shares.
 */
import { AppError } from '../../base/errors/app-error.ts';
import type { Session } from './session.ts';

export interface ServerFacts {
  readonly systemIdentifier: string;
  /** Tells a server from its standbys and clones, which share the identifier. */
  readonly startedAt: string;
}

/**
 * Asked in one round trip, behind the statements of `before`, which go with it. Throws POOLER where the server knows this session under
 * another process id than the one told at the login: then something sits in between.
 */
export async function readServerFacts(session: Session, before = ''): Promise<ServerFacts> {
  const row = await session.one(
    `${before}SELECT pg_catalog.pg_backend_pid()::text AS pid, s.system_identifier::text AS system,
            pg_catalog.pg_postmaster_start_time()::text AS started
       FROM pg_catalog.pg_control_system() s`,
  );
  if (Number(row.pid) !== session.pid) throw new AppError('POOLER', { side: session.side });
  return { systemIdentifier: row.system ?? '', startedAt: row.started ?? '' };
}

/** `restarted`: the same data, but another server process: one that was started again, or a standby or clone. */
export type ServerRelation = 'same' | 'restarted' | 'other';

export function relationOf(a: ServerFacts, b: ServerFacts): ServerRelation {
  if (a.systemIdentifier !== b.systemIdentifier) return 'other';
  return a.startedAt === b.startedAt ? 'same' : 'restarted';
}

/** `system 7… started 2026-…`, for error texts. */
export function describeServer({ systemIdentifier, startedAt }: ServerFacts): string {
  return `system ${systemIdentifier} started at ${startedAt}`;
}

export function otherServer(side: string, a: ServerFacts, b: ServerFacts): AppError {
  return new AppError('OTHER_SERVER', { side, first: describeServer(a), second: describeServer(b) });
}

/** Free connections on both ends for the sessions of a migration. */
import type { Session } from '../../pg/session.ts';
import type { Check, Finding } from '../check.ts';
import { counted, finding } from '../finding.ts';

/**
 * Beside one for each job. Source: the control session, the snapshot's holder, the watch; the stream takes the holder's place. Target:
 * the control session and, later, the one that applies changes.
 */
const BESIDE_JOBS = { source: 3, target: 2 };

/** Each copy thread has a control session of its own on the source (docs/decisions/0009). */
function copyThreads(jobs: number): number {
  return jobs <= 4 ? 0 : Math.ceil(jobs / 4);
}

async function judge(session: Session, jobs: number, check: string): Promise<Finding> {
  const needed = jobs + BESIDE_JOBS[session.side] + (session.side === 'source' ? copyThreads(jobs) : 0);
  const row = await session.one(
    `SELECT least(
              pg_catalog.current_setting('max_connections')::int - ${reserved(session.version)}
                - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'),
              CASE WHEN r.rolsuper OR r.rolconnlimit < 0 THEN NULL
                   ELSE r.rolconnlimit - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = current_user) END,
              CASE WHEN r.rolsuper OR d.datconnlimit < 0 THEN NULL
                   ELSE d.datconnlimit - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = d.datname) END)::text AS free,
            pg_catalog.current_setting('max_connections') AS max_connections
       FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
      WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database()`,
  );
  const evidence = `${row.free} free, ${needed} needed for ${counted(jobs, 'job')}, max_connections = ${row.max_connections}`;
  return Number(row.free) >= needed
    ? finding(check, 'passed', { what: `the ${session.side} has free connections`, evidence })
    : finding(check, 'alert', {
        what: `the ${session.side} has few free connections: the copy would run with fewer jobs, or wait`,
        evidence,
        fix: '-- end idle sessions, raise max_connections or the limit of the role or database, or give fewer --jobs',
      });
}

function reserved(version: number): string {
  const settings = [
    'superuser_reserved_connections',
    ...(version >= 160_000 ? ['reserved_connections'] : []),
  ];
  return settings.map((name) => `pg_catalog.current_setting('${name}')::int`).join(' - ');
}

export const connections: Check = {
  name: 'connections',
  async run({ source, target, jobs }) {
    return [await judge(source, jobs, this.name), await judge(target, jobs, this.name)];
  },
};

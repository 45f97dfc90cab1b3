/** Transactions of the source, running or prepared, that the creation of a replication slot would wait for. */
import type { Check } from '../check.ts';
import { counted, finding, listed } from '../finding.ts';
import { literal } from '../../pg/ident.ts';

/** Alerts on transactions that have been open for longer than so many seconds. Without pg_read_all_stats only our own are seen. */
export function transactionsOlderThan(seconds: number): Check {
  return {
    name: 'long_transactions',
    async run({ source, types }) {
      if (!types.has('incremental')) return [];
      const running = await source.query(
        `SELECT a.pid::text AS pid,
                a.pid || ' (user ' || coalesce(a.usename, '?') || ', database ' || coalesce(a.datname, '?') || ', ' || coalesce(a.state, '?')
                  || CASE WHEN a.backend_xid IS NULL THEN ', no writes yet' ELSE '' END
                  || ', open for ' || pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.xact_start) || ')' AS who
           FROM pg_catalog.pg_stat_activity a
          WHERE a.xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1::float8)
            AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type = 'client backend'
          ORDER BY a.xact_start`,
        [String(seconds)],
      );
      const prepared = await source.query(
        `SELECT p.gid, 'prepared transaction ' || pg_catalog.quote_literal(p.gid) || ' (user ' || p.owner || ', database ' || p.database || ', since '
                  || pg_catalog.date_trunc('second', p.prepared) || ')' AS who
           FROM pg_catalog.pg_prepared_xacts p ORDER BY p.prepared`,
      );
      const all = [...running, ...prepared].map(({ who }) => who ?? '');
      if (all.length === 0)
        return [finding(this.name, 'passed', { what: 'no transaction of the source is open for long' })];
      return [
        finding(this.name, 'alert', {
          what: `${counted(all.length, 'open transaction')} on the source: the replication slot cannot be created before those that write have ended`,
          evidence: listed(all),
          fix: [
            ...running.map(({ pid }) => `SELECT pg_catalog.pg_terminate_backend(${pid});`),
            ...prepared.map(
              ({ gid }) =>
                `ROLLBACK PREPARED ${literal(gid ?? '').trimStart()};   -- in its database; or COMMIT PREPARED`,
            ),
          ].join('\n'),
        }),
      ];
    },
  };
}

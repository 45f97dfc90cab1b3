/** Whether the replication slot will follow when the source fails over to its standby. Silent where it has none. */
import type { Check } from '../check.ts';
import { counted, finding } from '../finding.ts';

export const failover: Check = {
  name: 'failover',
  async run({ source, types }) {
    if (!types.has('incremental')) return [];
    // A connection that only creates a slot, or takes a backup, is in it too; who may see no states is told of all.
    const standbys = await source.query(
      `SELECT s.slot_name AS slot, r.pid::pg_catalog.text AS pid
         FROM pg_catalog.pg_stat_replication r LEFT JOIN pg_catalog.pg_replication_slots s ON s.active_pid = r.pid
        WHERE s.slot_type IS DISTINCT FROM 'logical' AND (r.state IS NULL OR r.state IN ('catchup', 'streaming')) ORDER BY 1, 2`,
    );
    if (standbys.length === 0) return [];
    const evidence = standbys.map(({ slot, pid }) => slot ?? `backend ${pid}, without a slot`).join(', ');
    const has = counted(standbys.length, 'standby');
    if (source.version < 170_000) {
      return [
        finding(this.name, 'alert', {
          what: `the source has ${has}; slots of PostgreSQL before 17 do not follow at a failover: the migration would have to start again`,
          evidence,
        }),
      ];
    }
    const { names } = await source.one(
      "SELECT pg_catalog.current_setting('synchronized_standby_slots') AS names",
    );
    if (names !== '')
      return [
        finding(this.name, 'passed', {
          what: 'changes are sent only when the standby has them',
          evidence: `synchronized_standby_slots = ${names}`,
        }),
      ];
    const [slot] = standbys.flatMap((standby) => standby.slot ?? []);
    return [
      finding(this.name, 'alert', {
        what: `the source has ${has}, and changes may be applied that are lost at a failover: the migration would have to start again`,
        evidence,
        fix: [
          `ALTER SYSTEM SET synchronized_standby_slots = '${slot?.replaceAll("'", "''") ?? 'the physical slot of the standby'}';`,
          'SELECT pg_catalog.pg_reload_conf();',
          '-- and on the standby: hot_standby_feedback = on, sync_replication_slots = on, primary_slot_name, dbname in primary_conninfo',
        ].join('\n'),
      }),
    ];
  },
};

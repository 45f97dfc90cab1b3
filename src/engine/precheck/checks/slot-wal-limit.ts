/** Settings of the source that let it throw away the log our slot still needs. */
import type { Check } from '../check.ts';
import { finding } from '../finding.ts';

export const slotWalLimit: Check = {
  name: 'slot_wal_limit',
  async run({ source, types }) {
    if (!types.has('incremental')) return [];
    // Compared as stored: the unit differs by version, the meaning of "no limit" does not.
    const rows = await source.query(
      `SELECT s.name, s.setting, pg_catalog.current_setting(s.name) AS shown,
              CASE s.name WHEN 'max_slot_wal_keep_size' THEN '-1' ELSE '0' END AS unlimited
         FROM pg_catalog.pg_settings s WHERE s.name IN ('max_slot_wal_keep_size', 'idle_replication_slot_timeout') ORDER BY s.name`,
    );
    const limits = rows.filter(({ setting, unlimited }) => setting !== unlimited);
    return [
      limits.length === 0
        ? finding(this.name, 'passed', { what: 'the source keeps the log for as long as a slot needs it' })
        : finding(this.name, 'alert', {
            what: 'the source drops the log of a slot that falls behind too far: the migration would have to start again',
            evidence: limits.map(({ name, shown }) => `${name} = ${shown}`).join(', '),
            fix: [
              ...limits.map(
                ({ name, unlimited }) => `ALTER SYSTEM SET ${name} = ${unlimited};   -- or a larger limit`,
              ),
              'SELECT pg_catalog.pg_reload_conf();',
            ].join('\n'),
          }),
    ];
  },
};

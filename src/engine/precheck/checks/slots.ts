/** Room on the source for our replication slot and for the connections that create and read it. */
import type { Check, Finding } from '../check.ts';
import { finding } from '../finding.ts';

/** The connection that holds the snapshot and the one that streams. */
const SENDERS_NEEDED = 2;
/** A slot of the user's is there already. */
const SENDERS_NEEDED_AT_A_SLOT = 1;

export const slots: Check = {
  name: 'slots',
  async run({ source, types, start }) {
    if (!types.has('incremental')) return [];
    const row = await source.one(
      `SELECT pg_catalog.current_setting('max_replication_slots') AS max_slots,
              (SELECT count(*) FROM pg_catalog.pg_replication_slots)::text AS slots,
              pg_catalog.current_setting('max_wal_senders') AS max_senders,
              (SELECT count(*) FROM pg_catalog.pg_stat_replication)::text AS senders`,
    );
    const room = (setting: string, limit: string | null, used: string | null): Finding => {
      const senders = start ? SENDERS_NEEDED_AT_A_SLOT : SENDERS_NEEDED;
      const needed = setting === 'max_wal_senders' ? senders : 1;
      const evidence = `${used} in use, ${setting} = ${limit}, ${needed} needed`;
      const name = setting === 'max_wal_senders' ? 'wal senders' : 'replication slots';
      if (Number(limit) - Number(used) >= needed)
        return finding(this.name, 'passed', { what: `the source has free ${name}`, evidence });
      const fix = `ALTER SYSTEM SET ${setting} = ${Number(used) + needed + 5};   -- then restart the source server; or drop what is not needed`;
      return finding(this.name, 'failed', { what: `the source has too few free ${name}`, evidence, fix });
    };
    return [
      ...(start ? [] : [room('max_replication_slots', row.max_slots ?? null, row.slots ?? null)]),
      room('max_wal_senders', row.max_senders ?? null, row.senders ?? null),
    ];
  },
};

/** wal_level of the source: changes can be followed with `logical` only, and setting it takes a restart. */
import { MIGRATION_TYPES } from '../../../contract/task-spec.ts';
import type { Check, CheckContext } from '../check.ts';
import { finding } from '../finding.ts';

const FOLLOW = 'ALTER SYSTEM SET wal_level = logical;   -- then restart the source server';

export const walLevel: Check = {
  name: 'wal_level',
  async run({ source, types }) {
    if (!types.has('incremental')) return [];
    const { wal_level: level } = await source.one('SHOW wal_level');
    const evidence = `wal_level = ${level}`;
    return [
      level === 'logical'
        ? finding(this.name, 'passed', { what: 'the source writes a logical log', evidence })
        : finding(this.name, 'failed', {
            what: 'incremental migration needs wal_level = logical on the source',
            evidence,
            fix: bothWays(types),
          }),
    ];
  },
};

/** Only the option that changes: the whole command, with the selection of tables, is known to whoever asked. */
function bothWays(types: CheckContext['types']): string {
  const offline = MIGRATION_TYPES.filter((type) => type !== 'incremental' && types.has(type));
  if (offline.length === 0) return FOLLOW;
  return [
    '# either offline, now: stop the writers on the source, then the same command with',
    `--types ${offline.join(',')}`,
    '# or with changes followed: as an administrator of the source',
    FOLLOW,
  ].join('\n');
}

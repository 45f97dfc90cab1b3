/** Server versions of both ends. The judgement is pure: no test machine has servers this old. */
import type { MigrationType } from '../../../contract/task-spec.ts';
import type { Check, Finding } from '../check.ts';
import { finding } from '../finding.ts';

/** The first version with logical replication by publications. */
const OLDEST = 100_000;
/** The newest version this release is tested with. */
const NEWEST_MAJOR = 18;

/** Versions as `server_version_num`. */
export function judgeVersions(source: number, target: number, types: ReadonlySet<MigrationType>): Finding {
  const shown = (version: number) =>
    version >= OLDEST
      ? `${Math.floor(version / 10_000)}.${version % 10_000}`
      : `${Math.floor(version / 10_000)}.${Math.floor(version / 100) % 100}`;
  const evidence = `source ${shown(source)}, target ${shown(target)}`;
  const verdict = (result: Finding['result'], what: string) =>
    finding('versions', result, { what, evidence });
  if (source < OLDEST && types.has('incremental'))
    return {
      ...verdict('failed', 'incremental migration needs PostgreSQL 10 or later on the source'),
      fix: '-- migrate offline: --types schema,full',
    };
  if (source < OLDEST || target < OLDEST)
    return verdict('alert', 'versions before PostgreSQL 10 are not tested');
  if (Math.floor(Math.max(source, target) / 10_000) > NEWEST_MAJOR)
    return verdict('alert', `versions after PostgreSQL ${NEWEST_MAJOR} are not tested`);
  if (Math.floor(target / 10_000) < Math.floor(source / 10_000))
    return verdict(
      'alert',
      'the target is older than the source: it may not know everything the source uses',
    );
  return verdict('passed', 'both servers are supported');
}

export const versions: Check = {
  name: 'versions',
  run: async ({ source, target, types }) => [judgeVersions(source.version, target.version, types)],
};

/** The slot that the user wants changes read from: it serves, nobody reads it, and it holds the wanted position. */
import { AppError } from '../../../base/errors/app-error.ts';
import { formatTime } from '../../change/commit-time.ts';
import { formatLsn } from '../../change/lsn.ts';
import { connect } from '../../pg/connect.ts';
import { endOfWal } from '../../pg/wal-position.ts';
import { openChangeReader } from '../../source/change-reader.ts';
import { applicationName, sourceNames } from '../../source/source-names.ts';
import { findStart, notHeld, readUserSlot, type UserSlot } from '../../source/start-position.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { finding } from '../finding.ts';
import { identityFindings } from '../followed-tables.ts';

const NAME = 'start_position';
/** Looking for a time means decoding what the slot holds. */
const SEARCH_MS = 10_000;
const LIST =
  'SELECT slot_name, plugin, database, confirmed_flush_lsn FROM pg_replication_slots;   -- what there is';

export const startPosition: Check = {
  name: NAME,
  async run(context) {
    const { source, start } = context;
    if (!start) return [];
    const slot = await readUserSlot(source, start.slot);
    const failed = (what: string, evidence: string, fix = LIST) => [
      finding(NAME, 'failed', { what, evidence, fix }),
    ];
    if (!slot)
      return failed(`the source has no replication slot "${start.slot}"`, 'not in pg_replication_slots');
    if (/^dts_sync_[0-9a-f]{10}$/.test(start.slot))
      return failed(
        `replication slot ${start.slot} belongs to another migration`,
        'slots named dts_sync_… are made and dropped by opendts',
        '-- go on with that migration by its own options, or name a slot of yours',
      );
    const evidence = `decoder ${slot.decoder}, holds changes from ${formatLsn(slot.held)} on`;
    if (slot.unfit) return failed(`replication slot ${start.slot} cannot serve: ${slot.unfit}`, evidence);
    const { decoder = 'auto' } = context;
    if (decoder !== 'auto' && decoder !== slot.decoder)
      return failed(`the changes of replication slot ${start.slot} are not decoded by ${decoder}`, evidence);
    if (slot.reader)
      return failed(
        `replication slot ${start.slot} is in use`,
        slot.reader,
        '-- stop that reader for good: what it confirms is gone for this migration',
      );
    const problem = start.lsn === null ? null : notHeld(slot, start.lsn);
    if (problem)
      return failed(`replication slot ${start.slot} does not hold the position to begin at`, problem);
    // A publication keeps its tables from changes that could not be followed; without one nothing does.
    const identities = slot.decoder === 'pgoutput' ? [] : identityFindings(NAME, context.tables);
    if (start.time !== null) return [...identities, await searchTime(context, slot, start.time)];
    return [
      ...identities,
      finding(NAME, 'passed', {
        what: `changes are followed from ${formatLsn(start.lsn ?? slot.held)} on, through replication slot ${start.slot}`,
        evidence,
      }),
    ];
  },
};

/** Reads from the slot and confirms nothing. */
async function searchTime(context: CheckContext, slot: UserSlot, time: bigint): Promise<Finding> {
  const { source, sourceInfo, publication, start } = context;
  const name = start?.slot ?? '';
  const wanted = formatTime(time);
  const { ahead } = await source.one(
    'SELECT ($1::timestamptz > pg_catalog.clock_timestamp())::text AS ahead',
    [wanted],
  );
  if (ahead === 'true')
    return finding(NAME, 'failed', {
      what: `${wanted} has not come yet on the source`,
      evidence: 'by the clock of the source',
      fix: '-- give an earlier time, or none',
    });
  const signal = AbortSignal.timeout(SEARCH_MS);
  try {
    await using reader = await openChangeReader({
      control: source,
      openReplication: () =>
        connect(sourceInfo, {
          side: 'source',
          applicationName: applicationName('check', 'start'),
          replication: true,
        }),
      decoder: slot.decoder,
      tables: context.tables,
      positions: [],
      names: sourceNames('check', { slot: name, publication }),
      from: slot.held,
      safe: slot.held,
      recorded: null,
      onTimeline: async () => {},
      signal,
    });
    const found = await findStart(reader, { slot: name, time, until: await endOfWal(source), signal });
    return finding(NAME, 'passed', {
      what: `changes are followed from the first commit on that is not before ${wanted}, through replication slot ${name}`,
      evidence: `at ${formatLsn(found.lsn)}, behind ${found.transactions} earlier transactions`,
    });
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'START_UNUSABLE')
      return finding(NAME, 'failed', { what: thrown.message, fix: `-- ${thrown.remedy}` });
    if (!signal.aborted) throw thrown;
    return finding(NAME, 'alert', {
      what: `the first commit that is not before ${wanted} was not found in ${SEARCH_MS / 1000} s: the migration looks on when it begins`,
      evidence: `replication slot ${name} holds changes from ${formatLsn(slot.held)} on`,
    });
  }
}

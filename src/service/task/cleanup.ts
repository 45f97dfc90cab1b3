/** Takes back everything a migration made besides the migrated data: on the source slot, publication and identities; on the target our schema. */
import { AppError } from '../../base/errors/app-error.ts';
import type { ConnInfo } from '../../engine/pg/conninfo/conninfo.ts';
import { endBackends, identify } from '../../engine/pg/identity.ts';
import { releaseSource } from '../../engine/source/prepare.ts';
import { applicationName, sourceNames } from '../../engine/source/source-names.ts';
import { dropBookkeeping, hasBookkeeping } from '../../engine/target/bookkeeping.ts';
import { readSourceChanges, readTasks, type TaskRow } from '../../engine/target/task-row.ts';
import { Ends } from './ends.ts';
import { releaseFormerPrimaries, slotsLeftBehind } from './former-primaries.ts';

export interface CleanupRequest {
  readonly source: ConnInfo;
  readonly target: ConnInfo;
  readonly dryRun: boolean;
}

/** A line per thing removed (or that would be). Our schema on the target goes last, because it remembers what to undo. */
export async function cleanup(request: CleanupRequest): Promise<readonly string[]> {
  await using ends = new Ends(request.source, request.target);
  const [source, target] = [await ends.source(), await ends.target()];
  if (!(await hasBookkeeping(target))) return [];
  const reached = await identify(source);
  const { systemIdentifier, database } = reached;
  const tasks = await readTasks(target);
  const others = tasks.filter(
    (task) => task.sourceSystem !== systemIdentifier || task.sourceDatabase !== database,
  );
  if (others.length > 0) {
    throw new AppError('USAGE', {
      problem: `The target also holds task ${others.map((task) => task.taskId).join(', ')} of another source (database "${others[0]?.sourceDatabase}").`,
      remedy: 'Give that source with --source, so that its slot is dropped as well.',
    });
  }
  const removed: string[] = [];
  const behind = reached.isStandby ? [] : await slotsLeftBehind(source, tasks);
  for (const task of tasks) removed.push(...(await release(ends, task, request.dryRun)));
  const hosts = { info: request.source, reached };
  removed.push(...(await releaseFormerPrimaries(hosts, behind, request.dryRun)));
  if (!request.dryRun) await dropBookkeeping(target);
  removed.push('schema _opendts on the target');
  return removed;
}

async function release(ends: Ends, task: TaskRow, dryRun: boolean): Promise<string[]> {
  const [source, target] = [await ends.source(), await ends.target()];
  const names = sourceNames(task.taskId);
  const undo = await readSourceChanges(target, task.taskId);
  if (dryRun) {
    const slots = await source.query(
      'SELECT slot_name FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
      [names.slot],
    );
    const publications = await source.query(
      'SELECT pubname FROM pg_catalog.pg_publication WHERE pubname = $1',
      [names.publication],
    );
    return [
      ...slots.map((row) => `replication slot ${row.slot_name} on the source`),
      ...publications.map((row) => `publication ${row.pubname} on the source`),
      ...undo.map((change) => `${change.id}: ${change.undo}`),
    ];
  }
  await endBackends(source, applicationName(task.taskId, ''));
  await endBackends(target, applicationName(task.taskId, ''));
  return releaseSource(source, names, undo);
}

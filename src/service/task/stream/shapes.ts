/** The target tables as the applier must know them, read anew at each start of the stream. */
import { displayName, nameKey } from '../../../engine/change/relation.ts';
import { readFiringTables } from '../../../engine/pg/catalog/firing-tables.ts';
import { readTables, type TableInfo } from '../../../engine/pg/catalog/tables.ts';
import { readUniqueKeys } from '../../../engine/pg/catalog/unique-keys.ts';
import { followsAll } from '../../../engine/source/filtered-reader.ts';
import type { TargetShape } from '../../../engine/target/target-table.ts';
import { readTaskTables } from '../../../engine/target/task-row.ts';
import { warn, type TaskRun } from '../task-run.ts';

/** By nameKey of the source table. */
export async function readShapes(run: TaskRun): Promise<Map<string, TargetShape>> {
  const target = await run.ends.target();
  const keys = await readUniqueKeys(target);
  const firing = await readFiringTables(target, run.firesNothing);
  const sources = new Map(run.followed.map((table) => [nameKey(run.targetOf(table)), nameKey(table)]));
  const tables = (await readTables(target)).filter((table) => sources.has(nameKey(table)));
  const lenient = new Set(
    run.followed
      .filter((table) => !followsAll(run.followedOf(table).operations))
      .map((table) => nameKey(run.targetOf(table))),
  );
  const asIs = new Set((await readTaskTables(target, run.taskId)).filter((table) => table.asIs).map(nameKey));
  // Where anything fires, the order between tables counts too: then nothing is folded.
  const fires = tables.filter((table) => firing.has(nameKey(table)));
  if (fires.length > 0) {
    warn(
      run,
      `triggers or foreign keys of the target fire for replicated changes, so all changes are applied one by one: ${fires.map(displayName).join(', ')}`,
    );
  }
  return new Map(
    tables.map((table) => [
      sources.get(nameKey(table)) ?? '',
      {
        name: table,
        isPartitioned: table.kind === 'p',
        columns: table.columns,
        keys: keys.get(nameKey(table)) ?? [],
        leftOut: new Set(leftOut(run, table)),
        isOurs: run.request.types.has('schema'),
        asIs: asIs.has(sources.get(nameKey(table)) ?? ''),
        fires: fires.length > 0,
        lenient: lenient.has(nameKey(table)),
        overwrites: run.request.conflict === 'ignore',
      },
    ]),
  );
}

/** What the user's own table is made without; said at every start, because a column added later would be among them. */
function leftOut(run: TaskRun, target: TableInfo): string[] {
  if (run.request.types.has('schema')) return [];
  const source = run.followed.find((table) => nameKey(run.targetOf(table)) === nameKey(target));
  const there = new Set(target.columns.map(({ name }) => name));
  const names = (source?.columns ?? []).map(({ name }) => name).filter((name) => !there.has(name));
  if (source && names.length > 0)
    warn(
      run,
      `${displayName(source)}: left out, because the target table has no such column: ${names.join(', ')}`,
    );
  return names;
}

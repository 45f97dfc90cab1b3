/** What a TRUNCATE of the source empties on the target: whole tables, or of one that several go into only the rows of some of them. */
import type { Truncate } from '../change/change.ts';
import { nameKey } from '../change/relation.ts';
import type { TargetTable } from '../target/apply/sql/target-table.ts';
import type { Window } from '../target/apply/window/window.ts';
import type { FollowedTables } from './followed-tables.ts';
import type { StreamRun } from './stream-run.ts';

interface Into extends Pick<StreamRun, 'areStillParts'> {
  readonly window: Window;
  readonly tables: FollowedTables;
}

/** Throws TableFails where the rows of some cannot be told from those of the others. */
export async function truncate(
  emptied: readonly TargetTable[],
  change: Truncate,
  { window, tables, areStillParts }: Into,
): Promise<void> {
  const parts = partly(emptied);
  const areTold =
    parts.length > 0 && parts.every(({ part }) => part !== null) && (await areStillParts?.(parts));
  const whole = areTold ? emptied.filter((table) => !parts.includes(table)) : emptied;
  if (areTold) for (const table of parts) window.emptyPart(table);
  const [first] = whole;
  if (first) tables.failing(first.relation, () => window.truncate(whole, change));
}

/** Those whose target table keeps rows of others. */
function partly(emptied: readonly TargetTable[]): TargetTable[] {
  const names = new Set(emptied.map(({ source }) => nameKey(source)));
  return emptied.filter(
    ({ sources }) => sources.length > 1 && !sources.every((one) => names.has(nameKey(one))),
  );
}

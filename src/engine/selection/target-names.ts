/** The one place that turns a source name into a destination name. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName, nameKey, type QualifiedName } from '../change/relation.ts';
import { parseName } from './selection.ts';

/**
 * `rename`: `schema.table` (or `table`, where one schema only has it) of the source → `schema.table` of the target; names as in a table
 * pattern, without wildcards. Throws NOTHING_SELECTED for a name that is not selected, USAGE for two tables with one target.
 */
export function targetNames<T extends QualifiedName>(
  selected: readonly T[],
  rename: Readonly<Record<string, string>>,
): (table: QualifiedName) => QualifiedName {
  const renamed = new Map<string, QualifiedName>();
  for (const [from, to] of Object.entries(rename)) {
    const wanted = parseName(from);
    const found = selected.filter(
      ({ schema, name }) => name === wanted.name && (wanted.schema === null || schema === wanted.schema),
    );
    const [table] = found;
    if (!table) throw new AppError('NOTHING_SELECTED', { pattern: `"${from}" (to be renamed)` });
    const target = parseName(to);
    if (found.length > 1 || target.schema === null)
      throw new AppError('USAGE', {
        problem: `"${found.length > 1 ? from : to}" does not say which schema.`,
        remedy: 'Write schema.table on both sides of a renaming.',
      });
    renamed.set(nameKey(table), { schema: target.schema, name: target.name });
  }
  const targetOf = (table: QualifiedName) => renamed.get(nameKey(table)) ?? table;
  assertDistinct(selected, targetOf);
  return targetOf;
}

function assertDistinct(
  selected: readonly QualifiedName[],
  targetOf: (table: QualifiedName) => QualifiedName,
): void {
  const taken = new Map<string, QualifiedName>();
  for (const table of selected) {
    const key = nameKey(targetOf(table));
    const other = taken.get(key);
    if (other)
      throw new AppError('USAGE', {
        problem: `${displayName(other)} and ${displayName(table)} would both go into ${displayName(targetOf(table))}.`,
        remedy: 'Give each table a target of its own.',
      });
    taken.set(key, table);
  }
}

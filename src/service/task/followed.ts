/** What is followed of each table, and which of its rows: the task's rules, joined to the tables of the source. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName } from '../../engine/change/relation.ts';
import type { TableInfo } from '../../engine/pg/catalog/tables/tables.ts';
import type { Session } from '../../engine/pg/session.ts';
import { tableWishes } from '../../engine/selection/table-wishes.ts';
import type { Followed } from '../../engine/source/filtered-reader.ts';
import { readFilters, type FilterProblem } from '../../engine/source/row-filter.ts';
import type { MigrationRequest } from './task-run.ts';

export type FollowedOf = (table: TableInfo) => Followed;

export interface ReadFollowed {
  /** Throws FILTER_INVALID for a table whose filter cannot be used. */
  readonly followedOf: FollowedOf;
  /** By table, or by the partitioned table at the top. */
  readonly problems: readonly FilterProblem[];
}

/**
 * `tables`: all that the rules may speak of, partitions together with their tops. `isFollowing`: changes are followed already, and a table
 * whose filter has become unusable stops at its next change, alone. Throws NOTHING_SELECTED.
 */
export async function readFollowed(
  source: Session,
  request: Pick<MigrationRequest, 'operations' | 'rules'>,
  tables: readonly TableInfo[],
  isFollowing = false,
): Promise<ReadFollowed> {
  const wishOf = tableWishes(tables, request);
  const { filters, problems } = await readFilters(source, tables, wishOf);
  const followedOf = (table: TableInfo): Followed => {
    const wish = wishOf(table);
    const filter = filters.get(table.oid) ?? null;
    if (wish.filter === null || filter !== null) return { operations: wish.operations, filter };
    const broken = problemOf(table, problems);
    if (!isFollowing || !broken) throw invalid(table, broken);
    const { schema, name } = table;
    return {
      operations: wish.operations,
      filter: { table: { schema, name }, condition: wish.filter, columns: [], mayToast: true, broken },
    };
  };
  return { followedOf, problems };
}

function problemOf(table: TableInfo, problems: readonly FilterProblem[]): FilterProblem | undefined {
  return problems.find(({ oid }) => oid === (table.rootOid ?? table.oid));
}

function invalid(table: TableInfo, found: FilterProblem | undefined): AppError {
  return new AppError('FILTER_INVALID', {
    table: displayName(table),
    problem: found?.problem ?? 'the source has not judged it',
    remedy: found?.fix ?? 'Run again.',
  });
}

/** Of many tables most stand as they stood a second ago: only the others are told. */
import { toTableProgress, type StoredTableProgress } from '../../../contract/api/task-progress.ts';
import type { TableProgress } from '../../../contract/progress.ts';
import { displayName } from '../../../engine/change/relation.ts';
import type { StandingTable } from '../../task/progress-book.ts';

/** What is kept grows with every change of the others: so much more is worth telling. */
const TELLING_BITS = 20n;

export class ChangedTables {
  private readonly told = new Map<string, string>();

  /** Those that have changed since it was last asked. */
  of(tables: readonly TableProgress[], stopped: readonly StandingTable[]): StoredTableProgress[] {
    const reasons = new Map(
      stopped.map(({ table, code, reason, keptBytes }) => {
        const kept = String((keptBytes >> TELLING_BITS) << TELLING_BITS);
        return [displayName(table), { code, reason, keptBytes: kept }];
      }),
    );
    return tables.flatMap((table) => {
      const why = reasons.get(table.table) ?? null;
      const now = lineOf(table, why === null ? '' : `${why.reason} ${why.keptBytes}`);
      if (this.told.get(table.table) === now) return [];
      this.told.set(table.table, now);
      return [toTableProgress(table, why)];
    });
  }
}

function lineOf({ etaSeconds, ...table }: TableProgress, reason: string): string {
  return [...Object.values(table), etaSeconds?.low, etaSeconds?.high, reason].join(' ');
}

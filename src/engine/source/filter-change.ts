/** What a row filter makes of a change: a row that leaves what passes is a delete, one that enters it an insert. Pure. */
import type { Operation } from '../../contract/task-spec.ts';
import { AppError } from '../../base/errors/app-error.ts';
import { asText, UNCHANGED, type ByteText, type Cell, type RowChange, type Tuple } from '../change/change.ts';
import { displayName, type Relation } from '../change/relation.ts';
import { wholeRow } from '../change/whole-row.ts';
import type { Question } from './filter-verdicts.ts';
import type { RowFilter } from './row-filter.ts';

/** A filter joined to a table as the stream describes it: where its columns stand. */
export interface JoinedFilter {
  readonly filter: RowFilter;
  readonly at: readonly number[];
}

/** Throws RELATION_CHANGED when the stream does not carry what the filter reads, FILTER_INVALID where it cannot be used any more. */
export function joinFilter(relation: Relation, filter: RowFilter): JoinedFilter {
  if (filter.broken) {
    const { problem, fix } = filter.broken;
    throw new AppError('FILTER_INVALID', { table: displayName(relation), problem, remedy: fix });
  }
  const at = filter.columns.map(({ name, typeOid }) => {
    const place = relation.columns.findIndex((column) => column.name === name);
    if (relation.columns[place]?.typeOid === typeOid) return place;
    const difference = `column "${name}", which its filter reads, ${place < 0 ? 'is not there' : 'has another type'}`;
    throw new AppError('RELATION_CHANGED', { table: displayName(relation), difference });
  });
  return { filter, at };
}

/** What must be known of the row before the change and after it; null where nothing depends on it. */
export interface Questions {
  readonly old: Question | null;
  readonly new: Question | null;
}

/** `operations`: those that are followed. Throws FILTER_FAILED where the old row is not known and must be. */
export function questionsAbout(
  change: RowChange,
  { filter, at }: JoinedFilter,
  operations: ReadonlySet<Operation>,
): Questions {
  const ask = (cells: (place: number) => Cell): Question => ({
    filter,
    cells: at.map((p) => sent(cells(p))),
  });
  const sent = (cell: Cell): ByteText | null => {
    if (cell === UNCHANGED) throw notWhole(change.relation);
    return cell === null ? null : asText(cell);
  };
  const before = (old: Tuple | null, row: Tuple) => (place: number) =>
    oldCell(change.relation, { old, row, place });
  switch (change.kind) {
    case 'insert':
      return { old: null, new: ask((place) => change.new[place] ?? null) };
    case 'update': {
      const old = before(change.old, change.new);
      return {
        old: ask(old),
        new: ask((place) => (change.new[place] === UNCHANGED ? old(place) : (change.new[place] ?? null))),
      };
    }
    case 'delete':
      // Where updates are not followed the target holds the row as it was when it came: it goes, whatever the source made of it since.
      return { old: operations.has('update') ? ask(before(change.old, change.old)) : null, new: null };
  }
}

/** A key column that was not sent has not changed; of other columns the old value is known under FULL only. */
function oldCell(
  relation: Relation,
  { old, row, place }: { old: Tuple | null; row: Tuple; place: number },
): Cell {
  if (relation.replicaIdentity === 'full' && old !== null) return old[place] ?? null;
  if (!relation.columns[place]?.isKey) throw notWhole(relation);
  return (old ?? row)[place] ?? null;
}

function notWhole(relation: Pick<Relation, 'schema' | 'name'>): AppError {
  return new AppError('FILTER_FAILED', {
    table: displayName(relation),
    problem: 'the change stream does not carry the whole old row, because REPLICA IDENTITY is not FULL',
  });
}

/** The change as the target is to see it; null when it does not concern it. A side that nothing depends on counts as passing. */
export function filteredChange(change: RowChange, passes: { old: boolean; new: boolean }): RowChange | null {
  if (change.kind === 'insert') return passes.new ? change : null;
  if (change.kind === 'delete') return passes.old ? change : null;
  if (passes.old)
    return passes.new ? change : { kind: 'delete', relation: change.relation, old: change.old ?? change.new };
  if (!passes.new) return null;
  const row = wholeRow(change.relation, change.old, change.new);
  if (row === null) throw notWhole(change.relation);
  return { kind: 'insert', relation: change.relation, new: row };
}

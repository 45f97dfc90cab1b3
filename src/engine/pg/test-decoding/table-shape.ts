/**
 * One list of columns under which messages of a table are written, and how its tuples are read. A table has one shape from the catalog,
 * and another for each list of columns that older messages carry.
 */
import type { Cell } from '../../change/change.ts';
import type { Relation } from '../../change/relation.ts';
import type { DescribedColumn, DescribedTable } from './described-table.ts';
import { endOfName, endOfType, readName, ValueCursor } from './scan.ts';

export interface TableShape {
  readonly relation: Relation;
  /** Columns as they are written; `to` is the place in the relation, -1 for one that is left out. */
  /** A null for each column of the relation: copied for each row. */
  readonly blank: readonly null[];
  readonly heads: readonly { readonly head: string; readonly to: number }[];
}

export function shapeOf(table: DescribedTable, columns: readonly DescribedColumn[]): TableShape {
  const carried = columns.filter(({ isVirtual }) => !isVirtual);
  return {
    relation: {
      oid: table.oid,
      schema: table.schema,
      name: table.name,
      replicaIdentity: table.replicaIdentity,
      columns: carried.map(({ name, typeOid, typmod, isKey }) => ({
        name,
        typeOid,
        typmod,
        isKey: isKey || table.replicaIdentity === 'full',
      })),
    },
    blank: carried.map(() => null),
    heads: columns.map((column) => ({ head: column.head, to: carried.indexOf(column) })),
  };
}

/**
 * The tuple at `at`, up to the end or to `until`; columns that are not there are null where that is allowed. Null when the text is not
 * of this shape.
 */
export function readTuple(
  { heads, blank }: TableShape,
  cursor: ValueCursor,
  { whole, until }: { readonly whole: boolean; readonly until: string | null },
): Cell[] | null {
  const cells: Cell[] = blank.slice();
  for (const { head, to } of heads) {
    if (!cursor.skips(head)) {
      if (whole) return null;
      continue;
    }
    const cell = cursor.value();
    if (to >= 0) cells[to] = cell;
  }
  return until === null
    ? cursor.at === cursor.text.length
      ? cells
      : null
    : cursor.skips(until)
      ? cells
      : null;
}

/** A column as a message names it. */
export interface WrittenColumn {
  readonly head: string;
  readonly name: string;
  /** One character per byte. */
  readonly type: string;
}

/** Whatever columns stand at `at`, up to the end or to `until`. */
export function readColumns(cursor: ValueCursor, until: string | null): WrittenColumn[] {
  const columns: WrittenColumn[] = [];
  const { text } = cursor;
  while (until === null ? cursor.at < text.length : !cursor.skips(until)) {
    const from = cursor.at;
    if (text[from] !== ' ') throw new RangeError('a column is missing');
    const nameEnd = endOfName(text, from + 1);
    if (text[nameEnd] !== '[') throw new RangeError('a type is missing');
    const typeEnd = endOfType(text, nameEnd + 1);
    if (text[typeEnd + 1] !== ':') throw new RangeError('a value is missing');
    columns.push({
      head: text.slice(from, typeEnd + 2),
      name: readName(text.slice(from + 1, nameEnd)),
      type: text.slice(nameEnd + 1, typeEnd),
    });
    cursor.at = typeEnd + 2;
    cursor.value();
  }
  return columns;
}

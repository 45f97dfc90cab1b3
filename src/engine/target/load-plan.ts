/** How a table is loaded: which columns go over, and in which COPY format. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName } from '../change/relation.ts';
import type { ColumnInfo, TableInfo } from '../pg/catalog/tables.ts';
import { ident, qname } from '../pg/ident.ts';

export interface LoadPlan {
  readonly columns: readonly string[];
  readonly binary: boolean;
  readonly copyIn: string;
}

/**
 * Built-in types whose binary form means the same on every server and version, and arrays of them. Not among them: types that travel as
 * an oid (regclass, …), which names something else on another server, and interval, whose infinity older servers read as a number.
 */
const PORTABLE = new Set([
  16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 600, 601, 602, 603, 604, 628, 650, 700, 701, 718, 774, 790, 829,
  869, 1042, 1043, 1082, 1083, 1114, 1184, 1266, 1560, 1562, 1700, 2950, 3802, 199, 1000, 1001, 1002, 1003,
  1005, 1007, 1009, 1014, 1015, 1016, 1021, 1022, 1115, 1182, 1183, 1185, 1231, 2951, 3807,
]);

/** Throws TARGET_TABLE_MISSING or RELATION_CHANGED when the rows could not go in. Columns that the target computes are left out. */
export function planLoad(source: TableInfo, target: TableInfo | undefined): LoadPlan {
  if (!target) throw new AppError('TARGET_TABLE_MISSING', { objects: `table ${displayName(source)}` });
  const byName = new Map(target.columns.map((column) => [column.name, column]));
  const pairs = source.columns
    .filter((column) => column.generated === '')
    .map((column) => {
      const into = byName.get(column.name);
      if (!into)
        throw new AppError('RELATION_CHANGED', {
          table: displayName(source),
          difference: `the target has no column "${column.name}"`,
        });
      return { from: column, into };
    })
    .filter(({ into }) => into.generated === '');
  const columns = pairs.map(({ from }) => from.name);
  const binary = columns.length > 0 && pairs.every(({ from, into }) => isPortable(from, into));
  const list = columns.length > 0 ? ` (${columns.map(ident).join(', ')})` : '';
  return {
    columns,
    binary,
    copyIn: `COPY ${qname(target)}${list} FROM STDIN${binary ? ' (FORMAT binary)' : ''}`,
  };
}

function isPortable(from: ColumnInfo, into: ColumnInfo): boolean {
  return from.typeOid === into.typeOid && from.type === into.type && PORTABLE.has(from.typeOid);
}

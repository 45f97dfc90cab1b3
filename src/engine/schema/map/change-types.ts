/** Columns that get a type of the user's, with the sequences that count for them. Pure. */
import { AppError } from '../../../base/errors/app-error.ts';
import { displayName, nameKey } from '../../change/relation.ts';
import type { Dependency } from '../../pg/catalog/dependencies.ts';
import type { TableColumn } from '../../pg/catalog/tables/column-users.ts';
import type { SequenceInfo } from '../../pg/catalog/sequences.ts';
import type { PartToLookAt, SchemaModel, TableModel } from '../model.ts';
import type { TargetNames } from '../../selection/target-names.ts';
import type { Parser } from '../rewrite/parser.ts';
import { readTypeName, type TypeName } from '../rewrite/type-name.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';

interface Retyped extends TableColumn {
  readonly type: TypeName;
}

/** Throws USAGE for what is no type, or none for its column. */
export function retypedColumns({ tables }: SchemaModel, names: TargetNames, parser: Parser): Retyped[] {
  return tables.flatMap(({ key, info }) =>
    info.columns.flatMap(({ name, attnum, identity }) => {
      const written = names.type(info, name);
      if (written === null) return [];
      const type = readTypeName(parser, written, `${displayName(info)}.${name}`);
      if (identity !== '' && !(type.sql in LIMITS))
        throw new AppError('USAGE', {
          problem: `Column "${name}" of ${displayName(info)} is an identity column, which cannot be ${type.sql}.`,
          remedy: 'Give it one of smallint, integer and bigint.',
        });
      return [{ table: key, attnum, type }];
    }),
  );
}

/** `model`: under the names of the target. */
export function withTypes(model: SchemaModel, retyped: readonly Retyped[]): SchemaModel {
  if (retyped.length === 0) return model;
  const place = ({ table, attnum }: TableColumn) => `${table} ${attnum}`;
  const types = new Map(retyped.map((one) => [place(one), one.type]));
  const changed = new Set(retyped.map(({ table }) => table));
  const toLookAt = new Map<ObjectKey, PartToLookAt>(model.toLookAt);
  const reason = 'it is no table of its type, because columns have other types';
  for (const { key, definition } of model.tables)
    if (changed.has(key) && definition.ofType !== null) toLookAt.set(key, { part: 'row type', reason });
  return {
    ...model,
    tables: model.tables.map((table) =>
      changed.has(table.key)
        ? retypedTable(table, (attnum) => types.get(place({ table: table.key, attnum })))
        : table,
    ),
    sequences: model.sequences.map((one) => {
      const type = one.owner && types.get(place(one.owner));
      return type ? retypedSequence(one, type.sql) : one;
    }),
    toLookAt,
    dependencies: [...model.dependencies, ...needsOf(model, retyped)],
  };
}

/** A table comes after a type of the source that one of its columns is given. */
function needsOf(
  { enums, domains, composites, ranges }: SchemaModel,
  retyped: readonly Retyped[],
): Dependency[] {
  const types = new Map(
    [...enums, ...domains, ...composites, ...ranges].map((one) => [nameKey(one), one.key]),
  );
  return retyped.flatMap(({ table, type }) => {
    const on = type.name === null ? undefined : types.get(nameKey(type.name));
    return on === undefined ? [] : [{ object: table, on, isPart: false }];
  });
}

/** Types that have a collation, and may be stored outside their row, compressed. */
const TEXTS = new Set(['text', 'character varying', 'bpchar']);

function retypedTable(table: TableModel, typeOf: (attnum: number) => TypeName | undefined): TableModel {
  const { info, definition } = table;
  return {
    ...table,
    info: {
      ...info,
      columns: info.columns.map((column) => {
        const type = typeOf(column.attnum);
        return type ? { ...column, type: type.sql, bareType: type.bare } : column;
      }),
    },
    definition: {
      ...definition,
      ofType: null,
      columns: definition.columns.map((column) => {
        const type = typeOf(column.attnum);
        // What is said of the former type's way to sort and to be stored.
        return type && !TEXTS.has(type.bare)
          ? { ...column, collation: null, storage: null, compression: null }
          : column;
      }),
    },
  };
}

const LIMITS: Readonly<Record<string, { readonly min: string; readonly max: string }>> = {
  smallint: { min: '-32768', max: '32767' },
  integer: { min: '-2147483648', max: '2147483647' },
  bigint: { min: '-9223372036854775808', max: '9223372036854775807' },
};

/** As ALTER SEQUENCE … AS does it: a limit that was the type's own is again. */
function retypedSequence(sequence: SequenceInfo, type: string): SequenceInfo {
  const [before, after] = [LIMITS[sequence.type], LIMITS[type]];
  if (!before || !after) return sequence;
  const { min, max } = sequence;
  return {
    ...sequence,
    type,
    min: min === before.min ? after.min : min,
    max: max === before.max ? after.max : max,
  };
}

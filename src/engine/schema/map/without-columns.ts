/** The model without the columns that are left out, and with a reason for everything that needs one of them. Pure. */
import { displayName } from '../../change/relation.ts';
import type { ColumnUser, TableColumn } from '../../pg/catalog/tables/column-users.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import type { TargetNames } from '../../selection/target-names.ts';
import type { PartToLookAt, SchemaModel, TableModel } from '../model.ts';

interface LeftOut extends TableColumn {
  readonly name: string;
}

/** Of all tables of the model. */
export function columnsLeftOut({ tables }: SchemaModel, names: TargetNames): LeftOut[] {
  return tables.flatMap(({ key, info }) =>
    info.columns
      .filter(({ name }) => names.column(info, name) === null)
      .map(({ name, attnum }) => ({ table: key, attnum, name })),
  );
}

export function withoutColumns(
  model: SchemaModel,
  leftOut: readonly LeftOut[],
  users: readonly ColumnUser[],
): SchemaModel {
  if (leftOut.length === 0) return model;
  const place = ({ table, attnum }: TableColumn) => `${table} ${attnum}`;
  const gone = new Map(leftOut.map((one) => [place(one), one]));
  const isGone = (table: ObjectKey, attnum: number) => gone.has(place({ table, attnum }));
  const tables = new Map(model.tables.map((table) => [table.key, table]));
  const unwritable = new Map(model.unwritable);
  const generated = generatedColumns(model);
  for (const one of users) {
    const table = tables.get(one.table);
    const column = gone.get(place(one));
    if (!table || !column) continue;
    const reason = `it needs column "${column.name}" of ${displayName(table.info)}, which is left out`;
    // A generated column stands in CREATE TABLE.
    const generates = generated.get(one.user);
    if (generates === undefined) unwritable.set(one.user, reason);
    else if (!isGone(generates.table, generates.attnum)) unwritable.set(generates.table, reason);
  }
  // What stands for them among the drafts.
  const hand = (from: ObjectKey, to: ObjectKey | null) => {
    const reason = unwritable.get(from);
    if (reason !== undefined && to !== null) unwritable.set(to, reason);
  };
  for (const { key, queryKey } of model.views) hand(queryKey, key);
  for (const { key, index } of model.constraints) hand(key, index);
  const toLookAt = new Map<ObjectKey, PartToLookAt>(model.toLookAt);
  const without = (table: TableModel): TableModel => {
    const { key, info, definition } = table;
    const columns = info.columns.filter(({ attnum }) => !isGone(key, attnum));
    if (columns.length === info.columns.length) return table;
    if (definition.ofType !== null)
      toLookAt.set(key, {
        part: 'row type',
        reason: 'it is no table of its type, because columns are left out',
      });
    return {
      key,
      info: { ...info, columns },
      definition: {
        ...definition,
        ofType: null,
        columns: definition.columns.filter(({ attnum }) => !isGone(key, attnum)),
      },
    };
  };
  const goneNames = new Set(leftOut.map(({ table, name }) => `${table} ${name}`));
  return {
    ...model,
    tables: model.tables.map(without),
    sequences: model.sequences.filter(({ owner }) => owner === null || !isGone(owner.table, owner.attnum)),
    comments: model.comments.filter(({ object, column }) => !goneNames.has(`${object} ${column}`)),
    rights: {
      ...model.rights,
      grants: model.rights.grants.filter(({ object, attnum }) => attnum === null || !isGone(object, attnum)),
    },
    unwritable,
    toLookAt,
  };
}

/** By the key of its expression. */
function generatedColumns({ tables }: SchemaModel): Map<ObjectKey, TableColumn> {
  return new Map(
    tables.flatMap(({ key, info, definition }) =>
      info.columns
        .filter((column) => column.generated !== '')
        .flatMap(({ attnum }) => {
          const expressionKey = definition.columns.find((one) => one.attnum === attnum)?.expressionKey;
          return expressionKey == null ? [] : [[expressionKey, { table: key, attnum }] as const];
        }),
    ),
  );
}

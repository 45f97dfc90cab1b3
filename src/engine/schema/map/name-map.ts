/** How the relations of a schema are called on the target: tables by the task's names, and what must stand beside its table with it. Pure. */
import { nameKey, type QualifiedName } from '../../change/relation.ts';
import type { SequenceInfo } from '../../pg/catalog/sequences.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import type { NamedTable } from '../../selection/target-columns.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import type { TargetNames } from '../../selection/target-names.ts';
import type { ColumnNames, NameMap } from '../rewrite/names.ts';

export function tableKey({ oid }: Pick<TableInfo, 'oid'>): ObjectKey {
  return `pg_class:${oid}`;
}

/** A sequence stands in the schema of the table whose column it belongs to. */
export function sequenceOnTarget(
  { schema, name, owner }: Pick<SequenceInfo, 'schema' | 'name' | 'owner'>,
  names: TargetNames,
  tables: ReadonlyMap<ObjectKey, QualifiedName>,
): QualifiedName {
  const table = owner && tables.get(owner.table);
  return { schema: table ? names.table(table).schema : names.schema(schema), name };
}

interface Relations {
  readonly tables: readonly { readonly key: ObjectKey; readonly info: NamedTable }[];
  readonly sequences: readonly Pick<SequenceInfo, 'schema' | 'name' | 'owner'>[];
  readonly indexes: readonly (QualifiedName & { readonly table: ObjectKey })[];
}

/** `model`: without the columns that are left out, whose names are `leftOut`. */
export function nameMap(
  model: Relations,
  names: TargetNames,
  leftOut: ReadonlySet<string> = new Set(),
): NameMap {
  const tables = new Map<ObjectKey, QualifiedName>(model.tables.map(({ key, info }) => [key, info]));
  const relations = new Map<string, QualifiedName>();
  for (const table of tables.values()) relations.set(nameKey(table), names.table(table));
  for (const sequence of model.sequences)
    relations.set(nameKey(sequence), sequenceOnTarget(sequence, names, tables));
  for (const index of model.indexes) {
    const { schema } = names.table(tables.get(index.table) ?? index);
    if (tables.has(index.table)) relations.set(nameKey(index), { schema, name: index.name });
  }
  const columns = new Map<string, ColumnNames>();
  for (const { info } of model.tables) {
    const own = columnNames(info, names);
    if (own.renamed.size > 0) columns.set(nameKey(info), own);
  }
  const affected = new Set(
    model.tables
      .filter(({ info }) => names.table(info).name !== info.name || columns.has(nameKey(info)))
      .map(({ info }) => info.name),
  );
  const affectedColumns = new Set([...columns.values()].flatMap(({ renamed }) => [...renamed.keys()]));
  return {
    schema: (name) => names.schema(name),
    relation: (name) =>
      relations.get(nameKey(name)) ?? { schema: names.schema(name.schema), name: name.name },
    columns: (relation) => columns.get(nameKey(relation)) ?? null,
    isAffected: (name) => affected.has(name),
    isAffectedColumn: (name) => affectedColumns.has(name),
    leavesOut: (name) => leftOut.has(name),
  };
}

function columnNames(info: NamedTable, names: TargetNames): ColumnNames {
  const pairs = info.columns.map(({ name }) => [name, names.column(info, name) ?? name] as const);
  return {
    renamed: new Map(pairs.filter(([name, wanted]) => wanted !== name)),
    inOrder: pairs.map(([name]) => name),
  };
}

/** The model of a source as it is to be on the target, under the names of there, with the types and keys that the user has changed. */
import { displayName } from '../../change/relation.ts';
import { AppError } from '../../../base/errors/app-error.ts';
import type { Dependency } from '../../pg/catalog/dependencies.ts';
import { readColumnUsers } from '../../pg/catalog/column-users.ts';
import type { SchemaInfo } from '../../pg/catalog/schemas.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import type { Session } from '../../pg/session.ts';
import type { TargetNames } from '../../selection/target-names.ts';
import type { SchemaModel } from '../model.ts';
import { loadParser } from '../rewrite/parser.ts';
import { withKeys } from './change-keys.ts';
import { retypedColumns, withTypes } from './change-types.ts';
import { changedNames } from './changed-names.ts';
import { mapObjects } from './map-objects.ts';
import { mapTables } from './map-tables.ts';
import { nameMap } from './name-map.ts';
import { openTexts } from './texts.ts';
import { columnsLeftOut, withoutColumns } from './without-columns.ts';

/**
 * `source`: where the model was read. Throws USAGE where a column that tables inherit would have two names or types, for what is no type, and
 * for a key that a table cannot have.
 */
export async function mapModel(
  whole: SchemaModel,
  names: TargetNames,
  source: Session,
): Promise<SchemaModel> {
  if (!names.changesNames && !names.changesTables) return whole;
  assertInherited(whole, names);
  const parser = await loadParser();
  const retyped = retypedColumns(whole, names, parser);
  const keyed = withKeys(whole, names, parser);
  const leftOut = columnsLeftOut(whole, names);
  const model = withoutColumns(keyed, leftOut, await readColumnUsers(source, leftOut));
  const map = nameMap(model, names, new Set(leftOut.map(({ name }) => name)));
  const texts = openTexts(parser, map, { changed: changedNames(whole, names), of: model });
  const { schemas, dependencies } = mapSchemas(model, names);
  const mapped = {
    ...model,
    ...mapTables(model, texts),
    ...mapObjects(model, texts),
    schemas,
    dependencies,
    unwritable: texts.refused,
    toLookAt: texts.looks,
  };
  return withTypes(mapped, retyped);
}

/** Schemas that come together are one; one that only tables are moved to is made. What stands in one needs it. */
function mapSchemas(
  model: SchemaModel,
  names: TargetNames,
): { schemas: readonly SchemaInfo[]; dependencies: readonly Dependency[] } {
  const schemas = new Map<string, SchemaInfo>();
  const same = new Map<ObjectKey, ObjectKey>();
  for (const { key, name } of model.schemas) {
    const wanted = names.schema(name);
    const first = schemas.get(wanted);
    if (first) same.set(key, first.key);
    else schemas.set(wanted, { key, name: wanted });
  }
  const moved: Dependency[] = [];
  const leaves = new Set<ObjectKey>();
  const move = (key: ObjectKey, schema: string) => {
    const there = schemas.get(schema) ?? { key: `pg_namespace:new:${schema}`, name: schema };
    schemas.set(schema, there);
    leaves.add(key);
    moved.push({ object: key, on: there.key, isPart: false });
  };
  const tables = new Map(model.tables.map(({ key, info }) => [key, info]));
  for (const [key, info] of tables) {
    const { schema } = names.table(info);
    if (schema !== names.schema(info.schema)) move(key, schema);
  }
  for (const { key, owner } of model.sequences) {
    const table = owner && tables.get(owner.table);
    if (table && leaves.has(owner.table)) move(key, names.table(table).schema);
  }
  const kept = model.dependencies
    .filter(({ object, on }) => !leaves.has(object) || !on.startsWith('pg_namespace:'))
    .map((one) => (same.has(one.on) ? { ...one, on: same.get(one.on) ?? one.on } : one));
  return { schemas: [...schemas.values()], dependencies: [...kept, ...moved] };
}

function assertInherited({ tables }: SchemaModel, names: TargetNames): void {
  const byKey = new Map(tables.map(({ key, info }) => [key, info]));
  for (const { info, definition } of tables)
    for (const parent of definition.parents) {
      const above = byKey.get(parent);
      const columns = new Set(above?.columns.map(({ name }) => name));
      const torn = info.columns.find(
        ({ name }) =>
          above &&
          columns.has(name) &&
          (names.column(info, name) !== names.column(above, name) ||
            names.type(info, name) !== names.type(above, name)),
      );
      if (!above || !torn) continue;
      throw new AppError('USAGE', {
        problem: `Column "${torn.name}" of ${displayName(info)} comes from ${displayName(above)}, and would be another one there.`,
        remedy: 'Rename the column, leave it out, or give it another type in both tables or in neither.',
      });
    }
}

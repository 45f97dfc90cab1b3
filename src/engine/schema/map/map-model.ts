/** The model of a source as it is to be on the target, under the names of there, with the types and keys that the user has changed. */
import { displayName } from '../../change/relation.ts';
import { AppError } from '../../../base/errors/app-error.ts';
import { readColumnUsers } from '../../pg/catalog/tables/column-users.ts';
import type { Session } from '../../pg/session.ts';
import type { TargetNames } from '../../selection/target-names.ts';
import type { SchemaModel } from '../model.ts';
import { loadParser } from '../rewrite/parser.ts';
import { withKeys } from './change-keys.ts';
import { retypedColumns, withTypes } from './change-types.ts';
import { changedNames } from './changed-names.ts';
import { mapObjects } from './map-objects.ts';
import { mapSchemas } from './map-schemas.ts';
import { mapTables } from './map-tables.ts';
import { mergeSchemas } from './merge-schemas.ts';
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
  const read = withoutColumns(keyed, leftOut, await readColumnUsers(source, leftOut));
  const { schemas, dependencies, together } = mapSchemas(read, names);
  const model = { ...read, ...mergeSchemas(read, together) };
  const map = nameMap(model, names, new Set(leftOut.map(({ name }) => name)));
  const texts = openTexts(parser, map, { changed: changedNames(whole, names), of: model });
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

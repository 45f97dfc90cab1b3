/** The model of a source under the names that its objects have on the target: what is planned from it creates them so. */
import { displayName } from '../../change/relation.ts';
import { AppError } from '../../../base/errors/app-error.ts';
import { readColumnUsers } from '../../pg/catalog/column-users.ts';
import type { Session } from '../../pg/session.ts';
import type { TargetNames } from '../../selection/target-names.ts';
import type { SchemaModel } from '../model.ts';
import { changedNames } from './changed-names.ts';
import { mapObjects } from './map-objects.ts';
import { mapSchemas } from './map-schemas.ts';
import { mapTables } from './map-tables.ts';
import { mergeSchemas } from './merge-schemas.ts';
import { nameMap } from './name-map.ts';
import { openTexts } from './texts.ts';
import { columnsLeftOut, withoutColumns } from './without-columns.ts';

/** `source`: where the model was read. Throws USAGE where a column that tables inherit would have two names. */
export async function mapModel(
  whole: SchemaModel,
  names: TargetNames,
  source: Session,
): Promise<SchemaModel> {
  if (!names.changesNames) return whole;
  assertInherited(whole, names);
  const leftOut = columnsLeftOut(whole, names);
  const read = withoutColumns(whole, leftOut, await readColumnUsers(source, leftOut));
  const { schemas, dependencies, together } = mapSchemas(read, names);
  const model = { ...read, ...mergeSchemas(read, together) };
  const map = nameMap(model, names, new Set(leftOut.map(({ name }) => name)));
  const texts = await openTexts(map, changedNames(whole, names), model);
  return {
    ...model,
    ...mapTables(model, texts),
    ...mapObjects(model, texts),
    schemas,
    dependencies,
    unwritable: texts.refused,
    toLookAt: texts.looks,
  };
}

function assertInherited({ tables }: SchemaModel, names: TargetNames): void {
  const byKey = new Map(tables.map(({ key, info }) => [key, info]));
  for (const { info, definition } of tables)
    for (const parent of definition.parents) {
      const above = byKey.get(parent);
      const columns = new Set(above?.columns.map(({ name }) => name));
      const torn = info.columns.find(
        ({ name }) => above && columns.has(name) && names.column(info, name) !== names.column(above, name),
      );
      if (!above || !torn) continue;
      throw new AppError('USAGE', {
        problem: `Column "${torn.name}" of ${displayName(info)} comes from ${displayName(above)}, and would be another one there.`,
        remedy: 'Rename the column, or leave it out, in both tables or in neither.',
      });
    }
}

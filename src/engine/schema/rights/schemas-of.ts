/** The objects of a model that can have an owner, with the schema that each is in. */
import type { QualifiedName } from '../../change/relation.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import type { SchemaModel } from '../model.ts';

/** All of them, or only the tables that are included, with their sequences. A schema is in itself. */
export function schemasOf(
  model: SchemaModel,
  includesTable: ((name: QualifiedName) => boolean) | null,
): Map<ObjectKey, string> {
  const tables = model.tables.map(({ key, info }) => ({ key, schema: info.schema, name: info.name }));
  const included = tables.filter((table) => includesTable === null || includesTable(table));
  const keys = new Set(included.map(({ key }) => key));
  const sequences = model.sequences.filter(
    ({ owner }) => includesTable === null || (owner !== null && keys.has(owner.table)),
  );
  const others =
    includesTable === null
      ? [
          model.enums,
          model.composites,
          model.domains,
          model.ranges,
          model.views,
          model.routines,
          model.aggregates,
          model.operators,
          model.operatorClasses.families,
          model.operatorClasses.classes,
          model.collations,
          model.conversions,
          model.textSearch.dictionaries,
          model.textSearch.configurations,
          model.statistics,
        ].flat()
      : [];
  const inSchemas: readonly { readonly key: ObjectKey; readonly schema: string }[] = [
    ...included,
    ...sequences,
    ...others,
  ];
  const schemas = new Set(inSchemas.map(({ schema }) => schema));
  return new Map([
    ...model.schemas
      .filter(({ name }) => includesTable === null || schemas.has(name))
      .map(({ key, name }) => [key, name] as const),
    ...inSchemas.map(({ key, schema }) => [key, schema] as const),
  ]);
}

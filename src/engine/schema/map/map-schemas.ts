/** The schemas of the target, and what stands in which of them. Pure. */
import type { QualifiedName } from '../../change/relation.ts';
import type { Dependency } from '../../pg/catalog/dependencies.ts';
import type { SchemaInfo } from '../../pg/catalog/schemas.ts';
import type { SequenceInfo } from '../../pg/catalog/sequences.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import type { TargetNames } from '../../selection/target-names.ts';

interface Whole {
  readonly schemas: readonly SchemaInfo[];
  readonly tables: readonly { readonly key: ObjectKey; readonly info: QualifiedName }[];
  readonly sequences: readonly Pick<SequenceInfo, 'key' | 'owner'>[];
  readonly dependencies: readonly Dependency[];
}

/** Schemas that come together are one; one that only tables are moved to is made. What stands in one needs it. */
export function mapSchemas(
  model: Whole,
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

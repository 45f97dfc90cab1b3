/** The schemas of the target, and what stands in which of them. Pure. */
import type { QualifiedName } from '../../change/relation.ts';
import type { Dependency } from '../../pg/catalog/dependencies.ts';
import type { SchemaInfo } from '../../pg/catalog/schemas.ts';
import type { SequenceInfo } from '../../pg/catalog/sequences.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import type { TargetNames } from '../../selection/target-names.ts';
import type { Together } from './merge-schemas.ts';

interface Whole {
  readonly schemas: readonly SchemaInfo[];
  readonly tables: readonly { readonly key: ObjectKey; readonly info: QualifiedName }[];
  readonly sequences: readonly Pick<SequenceInfo, 'key' | 'owner'>[];
  readonly dependencies: readonly Dependency[];
}

interface MappedSchemas {
  readonly schemas: readonly SchemaInfo[];
  readonly dependencies: readonly Dependency[];
  /** Those of the source that are one there. */
  readonly together: readonly Together[];
}

/** Schemas that come together are one; one that only tables are moved to is made. What stands in one needs it. */
export function mapSchemas(model: Whole, names: TargetNames): MappedSchemas {
  const together = [...Map.groupBy(model.schemas, ({ name }) => names.schema(name))].map(
    ([name, group]): Together => ({ name, schemas: group }),
  );
  const schemas = new Map<string, SchemaInfo>();
  const same = new Map<ObjectKey, ObjectKey>();
  for (const { name, schemas: group } of together) {
    const [first, ...others] = group;
    if (first) schemas.set(name, { key: first.key, name });
    for (const { key } of others) same.set(key, first?.key ?? key);
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
  return {
    schemas: [...schemas.values()],
    dependencies: [...kept, ...moved],
    together: together.filter((one) => one.schemas.length > 1),
  };
}

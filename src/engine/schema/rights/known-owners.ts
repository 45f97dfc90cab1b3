/** For comparing: schemas of which only one side can tell the owner. Pure. */
import type { SchemaModel } from '../model.ts';

/**
 * The names of schemas whose owner there is nothing to compare with: the source's `public` is made by its server, and a schema that only
 * tables are moved to is not on the source at all.
 */
export function schemasWithoutOwner(source: SchemaModel): Set<string> {
  const owned = new Set(source.rights.owners.map(({ object }) => object));
  return new Set(source.schemas.filter(({ key }) => !owned.has(key)).map(({ name }) => name));
}

/** The target's model without the owners of these schemas. */
export function withoutOwners(target: SchemaModel, schemas: ReadonlySet<string>): SchemaModel {
  const keys = new Set(target.schemas.filter(({ name }) => schemas.has(name)).map(({ key }) => key));
  const owners = target.rights.owners.filter(({ object }) => !keys.has(object));
  return { ...target, rights: { ...target.rights, owners } };
}

/** For comparing: schemas of which only one side can tell the owner. Pure. */
import type { SchemaModel } from '../model.ts';

/**
 * The target's model without the owners of schemas that have none to be compared with: the source's `public` is made by its server, and a
 * schema that only tables are moved to is not on the source at all.
 */
export function withKnownOwners(target: SchemaModel, source: SchemaModel): SchemaModel {
  const owned = new Set(source.rights.owners.map(({ object }) => object));
  const without = new Set(source.schemas.filter(({ key }) => !owned.has(key)).map(({ name }) => name));
  const keys = new Set(target.schemas.filter(({ name }) => without.has(name)).map(({ key }) => key));
  const owners = target.rights.owners.filter(({ object }) => !keys.has(object));
  return { ...target, rights: { ...target.rights, owners } };
}

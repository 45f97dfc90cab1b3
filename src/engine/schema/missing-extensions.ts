/** Extensions the source has and the target lacks: what uses them would fail. Pure. */
import type { ExtensionInfo } from '../pg/catalog/extensions/extensions.ts';
import type { SchemaModel } from './model.ts';
import type { TargetFacts } from './target-facts.ts';

type Facts = Pick<TargetFacts, 'extensions' | 'creatable'>;

/** Those that the migration creates. */
export function extensionsToCreate(model: SchemaModel, { extensions, creatable }: Facts): ExtensionInfo[] {
  return model.extensions.filter(({ name }) => !extensions.has(name) && creatable.has(name));
}

/** Those that nobody creates, in the form of `SchemaPlan.notMigrated`: `extension citext: …`. */
export function missingExtensions(
  model: Pick<SchemaModel, 'extensions'>,
  { extensions, creatable }: Facts,
): string[] {
  return model.extensions
    .filter(({ name }) => !extensions.has(name) && !creatable.has(name))
    .map(
      ({ name, schema }) =>
        `extension ${name}: the target lacks it; create it there in schema ${schema} before the migration`,
    );
}

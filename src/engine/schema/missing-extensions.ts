/** Extensions the source has and the target lacks: they are not created by us, and what uses them would fail. */
import { readExtensions } from '../pg/catalog/extensions.ts';
import type { Session } from '../pg/session.ts';
import type { SchemaModel } from './model.ts';

/** In the form of `SchemaPlan.notMigrated`: `extension citext: …`. */
export async function missingExtensions(model: SchemaModel, target: Session): Promise<string[]> {
  const present = new Set((await readExtensions(target)).map(({ name }) => name));
  return model.extensions
    .filter(({ name }) => !present.has(name))
    .map(
      ({ name, schema }) =>
        `extension ${name}: the target lacks it; create it there in schema ${schema} before the migration`,
    );
}

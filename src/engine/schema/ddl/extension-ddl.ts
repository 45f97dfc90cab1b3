/** Drafts of extensions that the target lacks and that are to be created there. */
import { ident } from '../../pg/ident.ts';
import { draft, type Draft, type DraftContext } from '../draft.ts';
import { extensionsToCreate } from '../missing-extensions.ts';
import { objectId } from '../object-id.ts';

export function extensionDrafts({ model, target }: DraftContext): Draft[] {
  return extensionsToCreate(model, target).map(({ key, name, schema }) =>
    draft({ key, id: objectId('extension', name), create: [extensionSql(name, schema)] }),
  );
}

/** In the version that the server takes by itself. One that belongs into pg_catalog says so itself. */
export function extensionSql(name: string, schema: string): string {
  const where = schema === 'pg_catalog' ? '' : ` SCHEMA ${ident(schema)}`;
  return `CREATE EXTENSION IF NOT EXISTS ${ident(name)}${where} CASCADE`;
}

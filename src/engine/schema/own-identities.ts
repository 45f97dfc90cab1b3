/** The replica identities that the user gave his tables, where the model was read after we had set others for the time of the migration. */
import type { QualifiedName } from '../change/relation.ts';
import { ident } from '../pg/ident.ts';
import type { SchemaModel } from './model.ts';

/** What a table had, in the words after REPLICA IDENTITY. */
export interface OwnIdentity extends QualifiedName {
  readonly oid: number;
  /** `DEFAULT`, `NOTHING` or `USING INDEX "…"`. */
  readonly identity: string;
}

export function withOwnIdentities(model: SchemaModel, own: readonly OwnIdentity[]): SchemaModel {
  if (own.length === 0) return model;
  const former = new Map(own.map(({ oid, identity }) => [`pg_class:${oid}`, identity]));
  return {
    ...model,
    tables: model.tables.map((table) => {
      const identity = former.get(table.key);
      if (identity === undefined || table.info.replicaIdentity !== 'full') return table;
      const replicaIdentity =
        identity === 'DEFAULT' ? 'default' : identity === 'NOTHING' ? 'nothing' : 'index';
      return { ...table, info: { ...table.info, replicaIdentity } };
    }),
    indexes: model.indexes.map((index) => {
      const isOwn = former.get(index.table) === `USING INDEX ${ident(index.name)}`;
      return isOwn ? { ...index, replicaIdentity: true } : index;
    }),
  };
}

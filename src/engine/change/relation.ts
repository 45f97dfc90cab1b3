/** Tables as the change stream and the copy speak of them. */

export interface QualifiedName {
  readonly schema: string;
  readonly name: string;
}

/** `schema.name` for people; never for SQL (that is ident.ts). */
export function displayName({ schema, name }: QualifiedName): string {
  return `${schema}.${name}`;
}

/** One key per table for maps: a NUL cannot occur in a name. */
export function nameKey({ schema, name }: QualifiedName): string {
  return `${schema}\0${name}`;
}

export type ReplicaIdentity = 'default' | 'nothing' | 'full' | 'index';

/** A Relation message: what the following changes of this oid look like. */
export interface Relation extends QualifiedName {
  readonly oid: number;
  readonly replicaIdentity: ReplicaIdentity;
  readonly columns: readonly RelationColumn[];
}

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
  /** Part of the replica identity. */
  readonly isKey: boolean;
}

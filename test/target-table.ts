/** Tables of a test database as the applier sees them: described by the source, and joined to the target's shape. */
import { nameKey, type Relation, type ReplicaIdentity } from '../src/engine/change/relation.ts';
import type { UniqueKey } from '../src/engine/pg/catalog/constraints/unique-keys.ts';
import type { TableInfo } from '../src/engine/pg/catalog/tables/tables.ts';
import { SAME_NAMES, type TargetShape } from '../src/engine/target/apply/sql/target-table.ts';

/** The table as its Relation message tells it. */
export function relationOf(
  info: TableInfo,
  replicaIdentity: ReplicaIdentity = info.replicaIdentity,
): Relation {
  const { oid, schema, name, columns, identityColumns } = info;
  return {
    oid,
    schema,
    name,
    replicaIdentity,
    columns: columns
      .filter(({ generated }) => generated === '')
      .map((column) => ({
        name: column.name,
        typeOid: column.typeOid,
        typmod: -1,
        isKey: replicaIdentity === 'full' || identityColumns.includes(column.name),
      })),
  };
}

/** A table that is on the target what it is on the source. `keys`: by nameKey. */
export function shapeOf(info: TableInfo, keys: ReadonlyMap<string, readonly UniqueKey[]>): TargetShape {
  const source = { schema: 'public', name: 't' };
  return {
    name: { schema: info.schema, name: info.name },
    columns: info.columns,
    keys: keys.get(nameKey(info)) ?? [],
    fires: false,
    isOurs: false,
    names: SAME_NAMES,
    leftOut: new Set<string>(),
    sourceColumns: new Set<string>(),
    known: new Map(),
    source,
    sources: [source],
    isPartitioned: info.kind === 'p',
  };
}

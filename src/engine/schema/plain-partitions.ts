/**
 * Partitioned tables as plain ones: each is made with its own columns, constraints, indexes and triggers, and holds the rows of all its
 * partitions, which vanish. What only a partition has is said by name, and what needs a partition itself cannot be. Pure.
 */
import type { ConstraintInfo } from '../pg/catalog/constraints/constraints.ts';
import type { IndexInfo } from '../pg/catalog/constraints/indexes.ts';
import type { SequenceInfo } from '../pg/catalog/sequences.ts';
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import type { SchemaModel, TableModel } from './model.ts';
import { objectName } from './object-id.ts';
import { ownOfPartitions, type OwnOfPart, type Part, type Parts } from './own-of-partitions.ts';

/** The oid of the partitioned table whose rows a table holds; null: it is made for itself. */
export type RootOf = (table: TableInfo) => number | null;

/** Without `rootOf` partitions are what the source says. */
export function withPlainPartitions(
  model: SchemaModel,
  rootOf: RootOf = ({ rootOid }) => rootOid,
): SchemaModel {
  const parts = findParts(model, rootOf);
  const isPlain = ({ key, info }: TableModel) => info.kind === 'r' && !info.isPartition && !parts.has(key);
  if (model.tables.every(isPlain)) return model;
  const kept = model.tables.filter(({ key }) => !parts.has(key));
  const alone = new Set(kept.filter(({ info }) => info.isPartition).map(({ key }) => key));
  const broken = brokenIndexes(model, parts);
  const { used, unused } = sequencesOf(model, parts);
  const own = [...ownOfPartitions(model, parts, unused), ...broken.own];
  const copies = new Set(model.constraints.filter((one) => isCopy(one, parts)).map(({ key }) => key));
  const isOwn = new Set(own.map(({ key }) => key));
  const isUnused = new Set(unused.map(({ key }) => key));
  const ofKept = <T extends { readonly table: ObjectKey }>(objects: readonly T[]) =>
    objects.filter(({ table }) => !parts.has(table));
  const leaves = Map.groupBy(
    [...parts.values()].filter(({ table }) => table.info.kind === 'r'),
    ({ root }) => root.key,
  );
  return {
    ...model,
    tables: kept.map((table) => {
      const one = alone.has(table.key) ? forItself(table) : table;
      return one.info.kind === 'p' ? plainTable(one, leaves.get(one.key) ?? []) : one;
    }),
    constraints: ofKept(model.constraints)
      .filter(({ key, index }) => !broken.keys.has(index ?? '') && !copies.has(key))
      .map((one) => (alone.has(one.table) ? { ...one, parent: null, isLocal: true } : one)),
    indexes: ofKept(model.indexes)
      .filter(({ key }) => !broken.keys.has(key))
      .map(plainIndex),
    sequences: model.sequences
      .filter(({ key }) => !isUnused.has(key))
      .map((one) => (used.has(one.key) ? { ...one, owner: null } : one)),
    triggers: ofKept(model.triggers).map((trigger) => ({ ...trigger, partitions: [] })),
    rules: ofKept(model.rules),
    policies: ofKept(model.policies),
    statistics: ofKept(model.statistics),
    dependencies: [
      ...model.dependencies.filter(
        ({ object, on }) => !isOwn.has(object) && !copies.has(object) && !(used.has(object) && parts.has(on)),
      ),
      ...own.map(({ key, root }) => ({ object: key, on: root, isPart: false })),
    ],
    notMigrated: [
      ...model.notMigrated,
      ...own.map(({ key, kind, name, reason }) => ({ key, kind, name, reason })),
      ...[...parts.values()].map(({ table: { key, info }, root }) => ({
        key,
        kind: 'partition',
        name: objectName(info.schema, info.name),
        reason: `has no table of its own: its rows stand in ${objectName(root.info.schema, root.info.name)}`,
        isQuiet: true as const,
      })),
    ],
  };
}

function findParts({ tables }: SchemaModel, rootOf: RootOf): Parts {
  const byOid = new Map(tables.map((table) => [table.info.oid, table]));
  return new Map(
    tables.flatMap((table): [ObjectKey, Part][] => {
      const root = byOid.get(rootOf(table.info) ?? -1);
      return root && root !== table ? [[table.key, { table, root }]] : [];
    }),
  );
}

function plainTable(table: TableModel, leaves: readonly Part[]): TableModel {
  const { info, definition } = table;
  const infos = leaves.map((leaf) => leaf.table.info);
  const isUnlogged = infos.length > 0 && infos.every(({ persistence }) => persistence === 'unlogged');
  return {
    ...table,
    info: {
      ...info,
      kind: 'r',
      // That a partitioned table is UNLOGGED has no effect: its partitions have it or not.
      persistence: isUnlogged ? 'unlogged' : 'permanent',
      bytes: infos.reduce((sum, { bytes }) => sum + bytes, 0n),
    },
    definition: { ...definition, partitionKey: null },
  };
}

/** A partition that has a table of its own: nothing of it comes from a parent. */
function forItself({ key, info, definition }: TableModel): TableModel {
  return {
    key,
    info: { ...info, isPartition: false, rootOid: null },
    definition: {
      ...definition,
      partitionBound: null,
      parents: [],
      columns: definition.columns.map((column) => ({
        ...column,
        isLocal: true,
        notNullConstraint: column.notNullConstraint && { ...column.notNullConstraint, isInherited: false },
      })),
    },
  };
}

/** What the server has made of a foreign key for one of the partitions that it refers to. */
function isCopy({ references, parent }: ConstraintInfo, parts: Parts): boolean {
  return parent !== null && references !== null && parts.has(references);
}

function isUnique({ definition }: IndexInfo): boolean {
  return definition.startsWith('CREATE UNIQUE ');
}

function plainIndex(index: IndexInfo): IndexInfo {
  return {
    ...index,
    parent: null,
    isPartitioned: false,
    valid: index.valid || index.isPartitioned,
    definition: index.isPartitioned
      ? index.definition.replace(/^(CREATE (?:UNIQUE )?INDEX (?:"(?:[^"]|"")+"|[^\s"]+) ON )ONLY /, '$1')
      : index.definition,
  };
}

/** A unique index of a partitioned table that some partition lacks: its rows need not be unique. */
function brokenIndexes(
  { indexes, constraints }: SchemaModel,
  parts: Parts,
): { readonly keys: ReadonlySet<ObjectKey>; readonly own: readonly OwnOfPart[] } {
  const found = indexes.filter(
    (index) => index.isPartitioned && !index.valid && isUnique(index) && !parts.has(index.table),
  );
  const makers = new Map(constraints.map((constraint) => [constraint.index, constraint]));
  return {
    keys: new Set(found.map(({ key }) => key)),
    own: found.map(({ key, schema, name, table }) => ({
      key: makers.get(key)?.key ?? key,
      kind: makers.has(key) ? 'constraint' : 'index',
      name: objectName(schema, name),
      reason: 'it is not valid on the source: not every partition has it',
      root: table,
    })),
  };
}

/** Sequences that belong to columns of partitions: `used` by something else as well, or not. */
function sequencesOf(
  model: SchemaModel,
  parts: Parts,
): { readonly used: ReadonlySet<ObjectKey>; readonly unused: readonly SequenceInfo[] } {
  const owned = model.sequences.filter(({ owner }) => owner !== null && parts.has(owner.table));
  if (owned.length === 0) return { used: new Set(), unused: [] };
  const isOfPart = new Set<ObjectKey>();
  for (const { table } of parts.values()) {
    isOfPart.add(table.key);
    for (const { expressionKey } of table.definition.columns)
      if (expressionKey !== null) isOfPart.add(expressionKey);
  }
  for (const { key, table } of [...model.constraints, ...model.triggers, ...model.rules, ...model.indexes])
    if (parts.has(table)) isOfPart.add(key);
  const keys = new Set(owned.map(({ key }) => key));
  const used = new Set(
    model.dependencies
      .filter(({ object, on, isPart }) => keys.has(on) && !isPart && !isOfPart.has(object))
      .map(({ on }) => on),
  );
  return { used, unused: owned.filter(({ key }) => !used.has(key)) };
}

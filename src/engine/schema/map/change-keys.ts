/**
 * Tables that get a primary key of the user's choice (decision 21). The former one stays as a UNIQUE constraint under its name, for the
 * foreign keys that refer to it and the changes whose rows are found by it; a UNIQUE constraint over the new columns becomes the key. Pure.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { displayName } from '../../change/relation.ts';
import type { ConstraintInfo } from '../../pg/catalog/constraints/constraints.ts';
import type { IndexInfo } from '../../pg/catalog/constraints/indexes.ts';
import type { ColumnDefinition } from '../../pg/catalog/tables/table-definitions.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { ident, qname } from '../../pg/ident.ts';
import type { TargetNames } from '../../selection/target-names.ts';
import type { SchemaModel, TableModel } from '../model.ts';
import { child, names as namesIn, nodes, text, type Parser } from '../rewrite/parser.ts';
import { freeName } from './free-name.ts';

interface Wanted {
  readonly table: TableModel;
  readonly columns: readonly string[];
}

/** `model`: under the names of the source. Throws USAGE where a table cannot have the key. */
export function withKeys(model: SchemaModel, { primaryKey }: TargetNames, parser: Parser): SchemaModel {
  const wanted = new Map(
    model.tables.flatMap((table): [ObjectKey, Wanted][] => {
      const columns = primaryKey(table.info);
      return columns === null ? [] : [[table.key, { table, columns }]];
    }),
  );
  if (wanted.size === 0) return model;
  for (const one of wanted.values()) assertPossible(one, model.tables, parser);
  const former = Map.groupBy(model.constraints, (one) => one.table);
  const constraints = new Map(model.constraints.map((one) => [one.key, one]));
  const indexes = [...model.indexes];
  const keys = new Map<ObjectKey, ConstraintInfo>();
  const taken = relationNames(model);
  const makeKey = (table: TableModel, columns: readonly string[], parent: ConstraintInfo | null) => {
    const name = freeName([table.info.name], 'pkey', taken(table.info.schema));
    const { constraint, index } = newKey(table, columns, { parent, name });
    indexes.push(index);
    return constraint;
  };
  // That of a partition is a part of that of its table.
  const settle = ({ table, columns }: Wanted): ConstraintInfo => {
    const known = keys.get(table.key);
    if (known) return known;
    const above = table.info.isPartition ? wanted.get(table.definition.parents[0] ?? '') : undefined;
    const parent = above ? settle(above) : null;
    const own = former.get(table.key) ?? [];
    const there = own.find(
      (one) =>
        mayBeKey(one) &&
        one.parent === (parent?.key ?? null) &&
        isSame(keyOf(parser, one.definition), columns),
    );
    for (const one of own)
      if (one.kind === 'primary key' && one !== there) constraints.set(one.key, asUnique(one));
    const key = there ? asKey(there) : makeKey(table, columns, parent);
    constraints.set(key.key, key);
    keys.set(table.key, key);
    return key;
  };
  for (const one of wanted.values()) settle(one);
  return {
    ...model,
    tables: model.tables.map((table) => {
      const one = wanted.get(table.key);
      return one ? withNotNull(one, model) : table;
    }),
    constraints: [...constraints.values()],
    indexes,
  };
}

/** By schema. */
function relationNames({ tables, indexes, sequences, views }: SchemaModel): (schema: string) => Set<string> {
  const relations = [...tables.map(({ info }) => info), ...indexes, ...sequences, ...views];
  const bySchema = Map.groupBy(relations, ({ schema }) => schema);
  const taken = new Map([...bySchema].map(([schema, all]) => [schema, new Set(all.map(({ name }) => name))]));
  return (schema) => taken.get(schema) ?? new Set();
}

/** The index of a primary key tells rows apart at once, and any two of them. */
function mayBeKey({ kind, deferrable, temporal, definition }: ConstraintInfo): boolean {
  if (kind === 'primary key') return !temporal;
  return kind === 'unique' && !deferrable && !temporal && !definition.startsWith('UNIQUE NULLS NOT DISTINCT');
}

function asKey(one: ConstraintInfo): ConstraintInfo {
  return { ...one, kind: 'primary key', definition: one.definition.replace(/^UNIQUE/, 'PRIMARY KEY') };
}

function asUnique(one: ConstraintInfo): ConstraintInfo {
  return { ...one, kind: 'unique', definition: one.definition.replace(/^PRIMARY KEY/, 'UNIQUE') };
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, at) => name === other[at]);
}

/** The columns of `PRIMARY KEY (…)` or `UNIQUE (…)`. */
function keyOf(parser: Parser, definition: string): readonly string[] {
  const [statement] = parser.parse(`ALTER TABLE t ADD ${definition}`);
  const [command] = nodes(child(statement ?? {}, 'AlterTableStmt')?.cmds);
  const def = child(child(command ?? {}, 'AlterTableCmd') ?? {}, 'def');
  return namesIn(child(def ?? {}, 'Constraint')?.keys);
}

function newKey(
  { key: table, info }: TableModel,
  columns: readonly string[],
  { parent, name }: { readonly parent: ConstraintInfo | null; readonly name: string },
): { readonly constraint: ConstraintInfo; readonly index: IndexInfo } {
  const list = columns.map(ident).join(', ');
  const isPartitioned = info.kind === 'p';
  const indexKey = `primary-key-index:${table}`;
  return {
    constraint: {
      key: `primary-key:${table}`,
      table,
      name,
      kind: 'primary key',
      definition: `PRIMARY KEY (${list})`,
      validated: true,
      enforced: true,
      isLocal: parent === null,
      parent: parent?.key ?? null,
      index: indexKey,
      references: null,
      deferrable: false,
      deferred: false,
      temporal: false,
    },
    index: {
      key: indexKey,
      table,
      schema: info.schema,
      name,
      definition: `CREATE UNIQUE INDEX ${ident(name)} ON ${isPartitioned ? 'ONLY ' : ''}${qname(info)} USING btree (${list})`,
      isPartitioned,
      parent: parent?.index ?? null,
      valid: true,
      clustered: false,
      replicaIdentity: false,
      nullsNotDistinct: false,
      hasIncluded: false,
      options: [],
      optionTexts: [],
      method: 'btree',
      hasClassOptions: false,
      statistics: [],
    },
  };
}

const NAMED_NOT_NULL = 180_000;

/** All columns of a primary key are; since PostgreSQL 18 by a constraint with a name. */
function withNotNull({ table, columns }: Wanted, { version, constraints }: SchemaModel): TableModel {
  const { key, info, definition } = table;
  const ofTable = constraints.filter((one) => one.table === key).map(({ name }) => name);
  const own = definition.columns.flatMap(({ notNullConstraint }) => notNullConstraint?.name ?? []);
  const taken = new Set([...ofTable, ...own]);
  const notNull = ({ name, attnum, notNullConstraint: before }: ColumnDefinition) => {
    if (before) return { ...before, validated: true, noInherit: false };
    if (version < NAMED_NOT_NULL) return null;
    return {
      key: `not-null:${key}:${attnum}`,
      name: freeName([info.name, name], 'not_null', taken),
      validated: true,
      noInherit: false,
      isInherited: false,
    };
  };
  return {
    key,
    info: {
      ...info,
      columns: info.columns.map((one) => (columns.includes(one.name) ? { ...one, notNull: true } : one)),
    },
    definition: {
      ...definition,
      columns: definition.columns.map((one) =>
        columns.includes(one.name) ? { ...one, notNullConstraint: notNull(one) } : one,
      ),
    },
  };
}

/** What a server would refuse only once the tables are there. */
function assertPossible({ table, columns }: Wanted, tables: readonly TableModel[], parser: Parser): void {
  const { key, info, definition } = table;
  if (definition.partitionKey !== null) {
    const lacking = partitionColumns(parser, definition.partitionKey).filter(
      (name) => name === null || !columns.includes(name),
    );
    if (lacking.length > 0)
      throw new AppError('USAGE', {
        problem: `${displayName(info)} is partitioned by ${lacking.map((name) => (name === null ? 'an expression' : `"${name}"`)).join(', ')}, which its primary key would have to hold.`,
        remedy: 'Take the column into the key, or make a plain table of it: --partitions plain.',
      });
  }
  const mayBeNull = info.columns.find(({ name, notNull }) => !notNull && columns.includes(name));
  const below = tables.find(({ info: one, definition: of }) => !one.isPartition && of.parents.includes(key));
  if (mayBeNull && below)
    throw new AppError('USAGE', {
      problem: `Column "${mayBeNull.name}" of ${displayName(info)} may be null, also in ${displayName(below.info)}, which inherits from it, and may not in a primary key.`,
      remedy: 'Make the key of columns that are NOT NULL.',
    });
}

/** Null for an expression. */
function partitionColumns(parser: Parser, partitionKey: string): (string | null)[] {
  const [statement] = parser.parse(`CREATE TABLE t () PARTITION BY ${partitionKey}`);
  const spec = child(child(statement ?? {}, 'CreateStmt') ?? {}, 'partspec');
  return nodes(spec?.partParams).map((one) => text(child(one, 'PartitionElem') ?? {}, 'name'));
}

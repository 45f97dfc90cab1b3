/** What partitions have that their table has not: it has no place in a plain table, and is said by name. Pure. */
import type { QualifiedName } from '../change/relation.ts';
import type { ConstraintInfo } from '../pg/catalog/constraints/constraints.ts';
import type { NotMigratedInfo } from '../pg/catalog/not-migrated.ts';
import type { SequenceInfo } from '../pg/catalog/sequences.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import type { SchemaModel, TableModel } from './model.ts';
import { objectName } from './object-id.ts';

/** A partition, at whichever level, and the table that its rows stand in on the target. */
export interface Part {
  readonly table: TableModel;
  readonly root: TableModel;
}

export type Parts = ReadonlyMap<ObjectKey, Part>;

/** Not created; worth a line where `root` is migrated. */
export interface OwnOfPart extends NotMigratedInfo {
  readonly root: ObjectKey;
}

const CONSTRAINT_WORDS: Readonly<Record<ConstraintInfo['kind'], string>> = {
  check: 'check constraint',
  'primary key': 'primary key',
  unique: 'unique constraint',
  exclusion: 'exclusion constraint',
  'foreign key': 'foreign key',
};

/** `sequences`: those of partitions that nothing else uses. */
export function ownOfPartitions(
  model: SchemaModel,
  parts: Parts,
  sequences: readonly SequenceInfo[],
): OwnOfPart[] {
  const own = (table: ObjectKey, key: ObjectKey, kind: string, name: (table: QualifiedName) => string) => {
    const part = parts.get(table);
    return part ? [ownOf(part, key, kind, name(part.table.info))] : [];
  };
  const inTable = (
    one: { readonly key: ObjectKey; readonly table: ObjectKey; readonly name: string },
    kind: string,
  ) => own(one.table, one.key, kind, ({ schema, name }) => objectName(schema, name, one.name));
  const ofConstraints = new Set(model.constraints.map(({ index }) => index));
  const checks = checkNames(model);
  return [
    ...[...parts.values()].flatMap((part) => [...ownOfTable(part), ...ownOfColumns(part)]),
    ...model.constraints
      .filter((one) => isOwnConstraint(one, parts, checks))
      .flatMap((one) => inTable(one, CONSTRAINT_WORDS[one.kind])),
    ...model.indexes
      .filter(({ key, parent }) => parent === null && !ofConstraints.has(key))
      .flatMap((one) => own(one.table, one.key, 'index', () => objectName(one.schema, one.name))),
    ...model.triggers.flatMap((one) => inTable(one, 'trigger')),
    ...model.rules.flatMap((one) => inTable(one, 'rule')),
    ...model.policies.flatMap((one) => inTable(one, 'policy')),
    ...model.statistics.flatMap((one) =>
      own(one.table, one.key, 'statistics', () => objectName(one.schema, one.name)),
    ),
    ...sequences
      .filter(({ isIdentity }) => !isIdentity)
      .flatMap((one) =>
        own(one.owner?.table ?? '', one.key, 'sequence', () => objectName(one.schema, one.name)),
      ),
    ...firingOtherwise(model, parts),
    ...namedInBodies(model, parts),
  ];
}

function ownOf(part: Part, key: ObjectKey, kind: string, name: string): OwnOfPart {
  const [table, root] = [part.table.info, part.root.info];
  const reason = `only partition ${objectName(table.schema, table.name)} has it, whose rows stand in the plain table ${objectName(root.schema, root.name)}`;
  return { key, kind, name, reason, root: part.root.key };
}

/** Names of the checks of each table. */
function checkNames({ constraints }: SchemaModel): ReadonlyMap<ObjectKey, ReadonlySet<string>> {
  const checks = Map.groupBy(
    constraints.filter(({ kind }) => kind === 'check'),
    ({ table }) => table,
  );
  return new Map([...checks].map(([table, of]) => [table, new Set(of.map(({ name }) => name))]));
}

/** A check of the name of its table's is the same one. */
function isOwnConstraint(
  { kind, table, name, isLocal, parent }: ConstraintInfo,
  parts: Parts,
  checks: ReadonlyMap<ObjectKey, ReadonlySet<string>>,
): boolean {
  if (kind !== 'check') return parent === null;
  const root = parts.get(table)?.root.key ?? '';
  return isLocal && !checks.get(root)?.has(name);
}

function ownOfTable(part: Part): OwnOfPart[] {
  const { key, info, definition } = part.table;
  const [root, rootDefinition] = [part.root.info, part.root.definition];
  const name = objectName(info.schema, info.name);
  const own = (what: string) => ownOf(part, `${what}:${key}`, `${what} of table`, name);
  const isPlain = info.kind === 'r';
  return [
    ...(isPlain && definition.accessMethod !== rootDefinition.accessMethod
      ? [own(`access method ${definition.accessMethod ?? 'heap'}`)]
      : []),
    ...(isPlain && info.replicaIdentity !== 'default' && info.replicaIdentity !== root.replicaIdentity
      ? [own(`replica identity ${info.replicaIdentity}`)]
      : []),
    ...(isPlain && info.persistence === 'unlogged' && root.persistence !== 'unlogged'
      ? [own('UNLOGGED')]
      : []),
    ...(definition.rowSecurity && !rootDefinition.rowSecurity ? [own('row-level security')] : []),
  ];
}

function ownOfColumns(part: Part): OwnOfPart[] {
  const { key, info, definition } = part.table;
  const above = new Map(part.root.definition.columns.map((column) => [column.name, column]));
  const aboveInfo = new Map(part.root.info.columns.map((column) => [column.name, column]));
  const definitions = new Map(definition.columns.map((column) => [column.name, column]));
  return info.columns.flatMap(({ name, attnum, notNull, generated, identity }) => {
    const [column, root, rootInfo] = [definitions.get(name), above.get(name), aboveInfo.get(name)];
    if (!column || !root || !rootInfo) return [];
    const own = (what: string, of: string, at: ObjectKey = `${what}:${key}:${attnum}`) =>
      ownOf(part, at, of, objectName(info.schema, info.name, name));
    const hasOther = column.expression !== null && column.expression !== root.expression;
    return [
      ...(hasOther && generated === '' ? [own('default', 'default', column.expressionKey ?? undefined)] : []),
      ...(hasOther && generated !== '' ? [own('generation', 'generation expression of column')] : []),
      ...(notNull && !rootInfo.notNull ? [own('not-null', 'NOT NULL of column')] : []),
      ...(identity !== '' && rootInfo.identity === '' ? [own('identity', 'identity of column')] : []),
    ];
  });
}

/** Triggers of a partitioned table that fire otherwise on some of its partitions. */
function firingOtherwise({ triggers }: SchemaModel, parts: Parts): OwnOfPart[] {
  return triggers.flatMap((trigger) =>
    trigger.partitions.flatMap(({ table }) => {
      const part = parts.get(table);
      if (!part || part.root.key !== trigger.table) return [];
      const { schema, name } = part.table.info;
      return [
        ownOf(
          part,
          `firing:${trigger.key}:${table}`,
          'state of trigger',
          objectName(schema, name, trigger.name),
        ),
      ];
    }),
  );
}

/** Behind one of these words a body speaks of a table. */
const NAME = String.raw`("(?:[^"]|"")+"|[\p{L}\p{N}_]+)`;
const TABLE_NAMED = new RegExp(
  String.raw`\b(?:from|join|into|update|table|truncate)\s+(?:(?:only|table)\s+)*(?:${NAME}\s*\.\s*)?${NAME}`,
  'giu',
);

/** Bodies that are only text to the server: they are created as they are, and would not find the partition. */
function namedInBodies({ routines }: SchemaModel, parts: Parts): OwnOfPart[] {
  const byName = Map.groupBy(parts.values(), ({ table }) => table.info.name);
  return routines
    .filter(({ hasSqlBody }) => !hasSqlBody)
    .flatMap((routine) => {
      const found = new Set<Part>();
      for (const [, schema, name] of routine.definition.matchAll(TABLE_NAMED))
        for (const part of byName.get(unquoted(name ?? '')) ?? [])
          if (schema === undefined || unquoted(schema) === part.table.info.schema) found.add(part);
      return [...found].map(({ table: { info, key }, root }) => ({
        key: `names:${routine.key}:${key}`,
        kind: `body of ${routine.kind}`,
        name: `${objectName(routine.schema, routine.name)}(${routine.identityArguments})`,
        reason: `it is created as it is, but names partition ${objectName(info.schema, info.name)}, whose rows stand in the plain table ${objectName(root.info.schema, root.info.name)}`,
        root: root.key,
      }));
    });
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
}

/** Drafts of tables: columns, partitioning, inheritance, options. Everything that needs an index comes in later drafts. */
import type { ConstraintInfo } from '../../pg/catalog/constraints/constraints.ts';
import { ident, qname } from '../../pg/ident.ts';
import { columnPieces, columnSettings, columnSql, inheritedChanges, ownColumns } from './column-ddl.ts';
import {
  commentsOn,
  draft,
  knownOptions,
  optionsSql,
  usingMethod,
  withClause,
  type Draft,
  type DraftContext,
  type Piece,
} from '../draft.ts';
import type { TableModel } from '../model.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { objectId } from '../object-id.ts';
import { sequencesByColumn, type SequencesByColumn } from '../owned-sequences.ts';

/** How the id of a step begins that attaches a partition to a table that stands already. */
export const ATTACHING = 'attachment of';

/** How the id of a step ends that makes such a partition. */
export const LATE = ', not attached yet';

export function tableDrafts(context: DraftContext): Draft[] {
  const sequences = sequencesByColumn(context.model);
  const checks = Map.groupBy(
    context.model.constraints.filter(({ kind }) => kind === 'check'),
    (constraint) => constraint.table,
  );
  const makers = indexMakers(context);
  return context.model.tables
    .filter(({ key }) => context.isSelected(key))
    .flatMap((table) => {
      const usable = (checks.get(table.key) ?? []).filter((check) => accepts(check, table, context));
      const late = usable.filter((check) => !check.validated);
      return [
        tableDraft(table, { context, sequences, checks: usable.filter((check) => check.validated) }),
        ...lateAttachment(table, makers, context),
        ...late.map((check) => lateCheck(check, table, context)),
        ...lateNotNulls(table, context),
      ];
    });
}

interface TableParts {
  readonly context: DraftContext;
  readonly sequences: SequencesByColumn;
  readonly checks: readonly ConstraintInfo[];
}

function tableDraft(table: TableModel, { context, sequences, checks }: TableParts): Draft {
  const { info, definition, key } = table;
  const isLate = joinsLate(table, context);
  const id = isLate ? lateId(table) : tableId(table);
  const owned = sequences.of(key);
  return draft({
    key,
    id,
    create: [createTable(table, context, sequences), ...alter(table, columnSettings(table, context))],
    pieces: [...columnPieces(table), ...checks.map((check): Piece => checkPiece(check, table, context))],
    after: [
      ...(isLate ? [] : attachment(table, context)),
      ...identity(table),
      ...owned
        .filter(({ isIdentity }) => !isIdentity)
        .map(
          (sequence) =>
            `ALTER SEQUENCE ${qname(sequence)} OWNED BY ${qname(info)}.${ident(columnName(table, sequence.owner?.attnum))}`,
        ),
      ...commentsOn(context, key, `TABLE ${qname(info)}`, info),
      ...notNullComments(table, context),
      ...owned
        .filter(({ isIdentity }) => isIdentity)
        .flatMap((sequence) => commentsOn(context, sequence.key, `SEQUENCE ${qname(sequence)}`)),
    ],
    needs: [
      ...definition.parents,
      ...owned.filter(({ isIdentity }) => !isIdentity).map((sequence) => sequence.key),
    ],
    creates: { schema: info.schema, name: info.name },
    relkind: info.kind,
  });
}

/** Since PostgreSQL 18 they have names. */
function notNullComments({ info, definition }: TableModel, context: DraftContext): string[] {
  if (context.targetVersion < 180_000) return [];
  return definition.columns.flatMap(({ notNullConstraint }) =>
    notNullConstraint?.validated
      ? commentsOn(
          context,
          notNullConstraint.key,
          `CONSTRAINT ${ident(notNullConstraint.name)} ON ${qname(info)}`,
        )
      : [],
  );
}

function createTable(table: TableModel, context: DraftContext, sequences: SequencesByColumn): string {
  const { info, definition } = table;
  const { targetVersion } = context;
  const columns = ownColumns(table, context).map((column) =>
    columnSql(column, table, { context, sequences }),
  );
  // The catalog lets a partitioned table be UNLOGGED without any effect; PostgreSQL 18 refuses it.
  const unlogged = info.persistence === 'unlogged' && info.kind === 'r' ? 'UNLOGGED ' : '';
  const parents = info.isPartition ? [] : definition.parents.filter((parent) => context.isSelected(parent));
  const inherits = parents.flatMap((parent) => context.relations.get(parent) ?? []);
  const id = tableId(table);
  // A partitioned table only hands it on to its partitions, which have their own.
  const method =
    info.kind === 'p' && targetVersion < 170_000 ? '' : usingMethod(definition.accessMethod, id, context);
  if (definition.hasOids)
    context.leaveOut(`oids of ${id}`, 'tables are made without them; PostgreSQL 12 and newer have none');
  if (definition.partitionKey?.startsWith('HASH ') && targetVersion < 110_000)
    context.block(table.key, 'hash partitioning needs PostgreSQL 11 on the target');
  if (definition.partitionBound === 'DEFAULT' && targetVersion < 110_000)
    context.block(table.key, 'a default partition needs PostgreSQL 11 on the target');
  return [
    `CREATE ${unlogged}TABLE ${qname(info)} (${columns.map((column) => `\n  ${column}`).join(',')}\n)`,
    ...(inherits.length > 0 ? [`INHERITS (${inherits.map(qname).join(', ')})`] : []),
    ...(definition.partitionKey === null ? [] : [`PARTITION BY ${definition.partitionKey}`]),
    method.trimStart(),
    withClause([
      ...optionsSql(knownOptions(definition.options, id, context)),
      ...optionsSql(knownOptions(definition.toastOptions, id, context), 'toast.'),
    ]).trimStart(),
  ]
    .filter((part) => part !== '')
    .join(' ');
}

/** A partition is created like any table and attached then: its column order and its own defaults stay. */
function attachment(table: TableModel, context: DraftContext): string[] {
  const { info, definition } = table;
  const name = qname(info);
  const statements = alter(table, inheritedChanges(table, context));
  const [parentKey] = definition.parents;
  const parent = parentKey === undefined ? undefined : context.relations.get(parentKey);
  if (definition.partitionBound !== null && parent)
    statements.push(
      `ALTER TABLE ONLY ${qname(parent)} ATTACH PARTITION ${name} ${definition.partitionBound}`,
    );
  return statements;
}

function identity({ info, definition }: TableModel): string[] {
  const name = qname(info);
  const { replicaIdentity } = info;
  return [
    ...(definition.ofType === null ? [] : [`ALTER TABLE ${name} OF ${definition.ofType}`]),
    ...(replicaIdentity === 'full' || replicaIdentity === 'nothing'
      ? [`ALTER TABLE ONLY ${name} REPLICA IDENTITY ${replicaIdentity.toUpperCase()}`]
      : []),
  ];
}

export function tableId({ info }: TableModel): string {
  return objectId('table', info.schema, info.name);
}

function lateId(table: TableModel): string {
  return `${tableId(table)}${LATE}`;
}

/**
 * A partition that is new where its parent stands already, perhaps with its indexes: ATTACH would then make those that the partition
 * lacks, under names of its own choice. So the partition is attached once it has them.
 */
function joinsLate(table: TableModel, context: DraftContext): boolean {
  const [parentKey] = table.definition.parents;
  const parent = parentKey === undefined ? undefined : context.tables.get(parentKey);
  if (table.definition.partitionBound === null || !parent || context.isDone(tableId(table))) return false;
  return context.isDone(tableId(parent)) || context.isDone(lateId(parent));
}

export function attachKey(table: ObjectKey): ObjectKey {
  return `attach:${table}`;
}

/** The drafts that make the indexes of a table, by table. */
function indexMakers({ model }: DraftContext): (table: ObjectKey) => readonly ObjectKey[] {
  const makers = new Map(model.constraints.map((constraint) => [constraint.index, constraint.key]));
  const byTable = Map.groupBy(model.indexes, (index) => index.table);
  return (table) => (byTable.get(table) ?? []).map((index) => makers.get(index.key) ?? index.key);
}

function lateAttachment(
  table: TableModel,
  makers: (table: ObjectKey) => readonly ObjectKey[],
  context: DraftContext,
): Draft[] {
  if (!joinsLate(table, context)) return [];
  const { key } = table;
  return [
    draft({
      key: attachKey(key),
      id: `${ATTACHING} ${tableId(table)}`,
      phase: 'index',
      create: attachment(table, context),
      needs: [key, ...makers(key)],
      attachedTo: key,
      isFollowUp: true,
      isVital: true,
    }),
  ];
}

function alter({ info }: TableModel, commands: readonly string[]): string[] {
  return commands.length > 0 ? [`ALTER TABLE ONLY ${qname(info)} ${commands.join(', ')}`] : [];
}

function columnName({ definition }: TableModel, attnum: number | undefined): string {
  return definition.columns.find((column) => column.attnum === attnum)?.name ?? '';
}

/** A partition needs all checks of its parent before it can be attached; an inheritance child gets them from its parent. */
function accepts(check: ConstraintInfo, table: TableModel, context: DraftContext): boolean {
  if (!check.enforced && context.targetVersion < 180_000) {
    context.leaveOut(checkId(check, table), 'NOT ENFORCED needs PostgreSQL 18 on the target');
    return false;
  }
  if (check.isLocal) return true;
  if (table.info.isPartition) return check.validated;
  return !table.definition.parents.some((parent) => context.isSelected(parent));
}

function checkId(check: ConstraintInfo, { info }: TableModel): string {
  return objectId('check constraint', info.schema, info.name, check.name);
}

function checkPiece(check: ConstraintInfo, table: TableModel, context: DraftContext): Piece {
  const name = qname(table.info);
  return {
    key: check.key,
    id: checkId(check, table),
    on: `ALTER TABLE ONLY ${name}`,
    onLater: `ALTER TABLE ${name}`,
    command: `ADD CONSTRAINT ${ident(check.name)} ${check.definition}`,
    joins: true,
    after: commentsOn(context, check.key, `CONSTRAINT ${ident(check.name)} ON ${name}`),
  };
}

/** A check that is NOT VALID waits until after the data: it would refuse the old rows that break it, which are new on the target. */
function lateCheck(check: ConstraintInfo, table: TableModel, context: DraftContext): Draft {
  const piece = checkPiece(check, table, context);
  return draft({
    key: piece.key,
    id: piece.id,
    phase: 'post-data',
    create: [`${piece.onLater} ${piece.command}`, ...piece.after],
    attachedTo: table.key,
  });
}

/** NOT NULL constraints that are NOT VALID, since PostgreSQL 18. */
function lateNotNulls(table: TableModel, context: DraftContext): Draft[] {
  const { info, definition, key } = table;
  return definition.columns.flatMap(({ name, attnum, notNullConstraint }) => {
    if (!notNullConstraint || notNullConstraint.validated || notNullConstraint.isInherited) return [];
    const id = objectId('not-null constraint', info.schema, info.name, notNullConstraint.name);
    if (context.targetVersion < 180_000) {
      context.leaveOut(id, 'NOT NULL … NOT VALID needs PostgreSQL 18 on the target');
      return [];
    }
    return [
      draft({
        key: `not-null:${key}:${attnum}`,
        id,
        phase: 'post-data',
        create: [
          `ALTER TABLE ${qname(info)} ADD CONSTRAINT ${ident(notNullConstraint.name)} NOT NULL ${ident(name)} NOT VALID`,
          ...commentsOn(
            context,
            notNullConstraint.key,
            `CONSTRAINT ${ident(notNullConstraint.name)} ON ${qname(info)}`,
          ),
        ],
        needs: [key],
        attachedTo: key,
      }),
    ];
  });
}

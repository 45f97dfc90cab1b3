/** Columns of CREATE TABLE, and what is set on them afterwards. */
import type { ColumnDefinition } from '../../pg/catalog/tables/table-definitions.ts';
import type { ColumnInfo } from '../../pg/catalog/tables/tables.ts';
import { ident, qname } from '../../pg/ident.ts';
import { optionsSql, type DraftContext, type Piece } from '../draft.ts';
import type { TableModel } from '../model.ts';
import { objectId } from '../object-id.ts';
import type { SequencesByColumn } from '../owned-sequences.ts';
import { sequenceOptions } from './sequence-ddl.ts';

export type Column = ColumnInfo & ColumnDefinition;

function columns({ info, definition }: TableModel): Column[] {
  const definitions = new Map(definition.columns.map((column) => [column.attnum, column]));
  return info.columns.flatMap((column) => {
    const more = definitions.get(column.attnum);
    return more ? [{ ...column, ...more }] : [];
  });
}

/** The columns that INHERITS brings: of migrated parents only, so that a child migrated without its parent is whole. */
function inheritedNames(table: TableModel, context: DraftContext): Map<string, Column[]> {
  const parents = table.info.isPartition ? [] : table.definition.parents;
  const found = parents.flatMap((key) => {
    const parent = context.isSelected(key) ? context.tables.get(key) : undefined;
    return parent ? columns(parent) : [];
  });
  return Map.groupBy(found, (column) => column.name);
}

/** The columns CREATE TABLE lists. */
export function ownColumns(table: TableModel, context: DraftContext): Column[] {
  const inherited = inheritedNames(table, context);
  return columns(table).filter((column) => column.isLocal || !inherited.has(column.name));
}

export function columnSql(
  column: Column,
  table: TableModel,
  { context, sequences }: { context: DraftContext; sequences: SequencesByColumn },
): string {
  return [
    ident(column.name),
    column.type,
    ...(column.collation === null ? [] : [`COLLATE ${column.collation}`]),
    ...generation(column, table, context),
    ...identity(column, table, { context, sequences }),
    ...notNull(column, table, context),
  ].join(' ');
}

function generation(column: Column, { info, key }: TableModel, context: DraftContext): string[] {
  if (column.generated === '' || column.expression === null) return [];
  if (context.targetVersion < 120_000) {
    context.block(key, 'generated columns need PostgreSQL 12 on the target');
    return [];
  }
  const asVirtual = column.generated === 'v' && context.targetVersion >= 180_000;
  if (column.generated === 'v' && !asVirtual)
    context.leaveOut(
      `${objectId('column', info.schema, info.name, column.name)} as virtual`,
      'virtual generated columns need PostgreSQL 18 on the target; it is a stored one there',
    );
  return [`GENERATED ALWAYS AS (${column.expression}) ${asVirtual ? 'VIRTUAL' : 'STORED'}`];
}

function identity(
  column: Column,
  { info, key }: TableModel,
  { context, sequences }: { context: DraftContext; sequences: SequencesByColumn },
): string[] {
  const sequence = sequences.identity(key, column.attnum);
  if (column.identity === '' || !sequence) return [];
  if (info.isPartition && context.targetVersion >= 170_000) {
    context.leaveOut(
      `identity of ${objectId('column', info.schema, info.name, column.name)}`,
      'since PostgreSQL 17 a partition cannot have an identity column of its own',
    );
    return [];
  }
  const kind = column.identity === 'a' ? 'ALWAYS' : 'BY DEFAULT';
  return [`GENERATED ${kind} AS IDENTITY (SEQUENCE NAME ${qname(sequence)} ${sequenceOptions(sequence)})`];
}

/** Before PostgreSQL 18 NOT NULL has no name and no state of its own. */
function notNull(column: Column, { info }: TableModel, context: DraftContext): string[] {
  const constraint = column.notNullConstraint;
  if (!column.notNull) return [];
  if (!constraint) return ['NOT NULL'];
  if (!constraint.validated || (constraint.isInherited && !info.isPartition)) return [];
  if (context.targetVersion < 180_000) return ['NOT NULL'];
  return [`CONSTRAINT ${ident(constraint.name)} NOT NULL${constraint.noInherit ? ' NO INHERIT' : ''}`];
}

/** Commands of ALTER TABLE for settings that CREATE TABLE does not take (in all versions). */
export function columnSettings(table: TableModel, context: DraftContext): string[] {
  const { schema, name } = table.info;
  return columns(table).flatMap((column) => settingsOf(column, objectId('table', schema, name), context));
}

type Settings = Pick<Column, 'name' | 'storage' | 'compression' | 'statistics' | 'options'>;

/** Also of materialized views. */
export function settingsOf(column: Settings, of: string, context: DraftContext): string[] {
  const on = `ALTER COLUMN ${ident(column.name)}`;
  return [
    ...(column.storage === null ? [] : [`${on} SET STORAGE ${column.storage}`]),
    ...compression(column, of, context).map((method) => `${on} SET COMPRESSION ${method}`),
    ...(column.statistics === null ? [] : [`${on} SET STATISTICS ${column.statistics}`]),
    ...(column.options.length === 0 ? [] : [`${on} SET (${optionsSql(column.options).join(', ')})`]),
  ];
}

/** Before PostgreSQL 14 there is but one. */
function compression(column: Settings, of: string, context: DraftContext): string[] {
  const { target } = context;
  const method = column.compression;
  if (method === null) return [];
  if (target.version >= 140_000 && (method === 'pglz' || target.hasLz4)) return [method];
  if (method !== 'pglz')
    context.leaveOut(
      `compression ${method} of column ${ident(column.name)} of ${of}`,
      'the target does not know it',
    );
  return [];
}

/** Where an inheritance child differs from its parents in a column it has from them. */
export function inheritedChanges(table: TableModel, context: DraftContext): string[] {
  const inherited = inheritedNames(table, context);
  return columns(table).flatMap((column) => {
    const above = inherited.get(column.name);
    if (!above || column.isLocal) return [];
    const on = `ALTER COLUMN ${ident(column.name)}`;
    const losesDefault =
      column.generated === '' && column.expression === null && above.some((one) => one.expression !== null);
    const gainsNotNull = column.notNull && !above.some((one) => one.notNull);
    return [...(losesDefault ? [`${on} DROP DEFAULT`] : []), ...(gainsNotNull ? [`${on} SET NOT NULL`] : [])];
  });
}

/** Defaults. Generation expressions are not among them: they stand in CREATE TABLE. */
export function columnPieces(table: TableModel): Piece[] {
  const on = `ALTER TABLE ONLY ${qname(table.info)}`;
  return columns(table).flatMap((column) => {
    if (column.generated !== '' || column.expression === null || column.expressionKey === null) return [];
    return [
      {
        key: column.expressionKey,
        id: objectId('default', table.info.schema, table.info.name, column.name),
        on,
        onLater: on,
        command: `ALTER COLUMN ${ident(column.name)} SET DEFAULT ${column.expression}`,
        joins: true,
        after: [],
      },
    ];
  });
}

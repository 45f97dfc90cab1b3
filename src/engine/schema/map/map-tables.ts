/** Tables and what stands on them, under the names of the target. Pure. */
import type { CommentInfo } from '../../pg/catalog/comments.ts';
import type { QualifiedName } from '../../change/relation.ts';
import type { TriggerInfo } from '../../pg/catalog/triggers.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import type { SchemaModel, TableModel } from '../model.ts';
import type { Texts } from './texts.ts';

type OfTables = Pick<
  SchemaModel,
  | 'tables'
  | 'constraints'
  | 'indexes'
  | 'sequences'
  | 'triggers'
  | 'rules'
  | 'policies'
  | 'statistics'
  | 'comments'
>;

export function mapTables(model: SchemaModel, texts: Texts): OfTables {
  const { map } = texts;
  const tables = new Map(model.tables.map(({ key, info }) => [key, info]));
  /** Under its name on the source. */
  const tableOf = (key: ObjectKey): QualifiedName => tables.get(key) ?? NO_TABLE;
  const statement = (key: ObjectKey, definition: string) =>
    texts.rewrite(key, definition, (rewriter, text) => rewriter.statement(text));
  return {
    tables: model.tables.map((table) => mapTable(table, texts)),
    constraints: model.constraints.map((one) => ({
      ...one,
      definition: texts.rewrite(one.key, one.definition, (rewriter, text) =>
        rewriter.constraint(text, tableOf(one.table)),
      ),
    })),
    indexes: model.indexes.map((one) => ({
      ...one,
      ...map.relation(one),
      definition: statement(one.key, one.definition),
    })),
    sequences: model.sequences.map((one) => ({ ...one, ...map.relation(one) })),
    triggers: model.triggers.map((one) => {
      lookAtArguments(one, texts);
      return { ...one, definition: statement(one.key, one.definition) };
    }),
    rules: model.rules.map((one) => ({ ...one, definition: statement(one.key, one.definition) })),
    policies: model.policies.map((one) => {
      const condition = (text: string | null) =>
        text === null
          ? null
          : texts.rewrite(one.key, text, (rewriter, sql) => rewriter.expression(sql, tableOf(one.table)));
      return { ...one, using: condition(one.using), check: condition(one.check) };
    }),
    statistics: model.statistics.map((one) => ({
      ...one,
      schema: map.schema(one.schema),
      definition: statement(one.key, one.definition),
    })),
    comments: model.comments.map((one) => mapComment(one, tables.get(one.object), texts)),
  };
}

/** What they mean is known to the trigger's function only. */
function lookAtArguments({ key, definition }: TriggerInfo, { changed, looks }: Texts): void {
  const given = /EXECUTE (?:FUNCTION|PROCEDURE) [^(]*\((.*)\)$/s.exec(definition)?.[1] ?? '';
  if (!changed.areIn(given)) return;
  const reason = 'they are as they were, and may mention names that are others on the target';
  looks.set(key, { part: 'arguments', reason });
}

const NO_TABLE: QualifiedName = { schema: '', name: '' };

function mapComment(comment: CommentInfo, table: QualifiedName | undefined, { map }: Texts): CommentInfo {
  const { column } = comment;
  const wanted = column === null || !table ? undefined : map.columns(table)?.renamed.get(column);
  return wanted === undefined ? comment : { ...comment, column: wanted };
}

function mapTable(table: TableModel, texts: Texts): TableModel {
  const { key, info, definition } = table;
  const { map, names } = texts;
  const renamed = map.columns(info)?.renamed;
  const nameOf = (column: string) => renamed?.get(column) ?? column;
  const expression = (of: ObjectKey, text: string) =>
    texts.rewrite(of, text, (rewriter, sql) => rewriter.expression(sql, info));
  return {
    key,
    info: {
      ...info,
      ...map.relation(info),
      identityColumns: info.identityColumns.map(nameOf),
      columns: info.columns.map((column) => ({
        ...column,
        name: nameOf(column.name),
        type: column.isBuiltinType ? column.type : names.types(column.type),
        bareType: column.isBuiltinType ? column.bareType : names.types(column.bareType),
      })),
    },
    definition: {
      ...definition,
      partitionKey:
        definition.partitionKey === null
          ? null
          : texts.rewrite(key, definition.partitionKey, (rewriter, sql) => rewriter.partitionKey(sql, info)),
      ofType: typeOf(table, texts),
      columns: definition.columns.map((column) => ({
        ...column,
        name: nameOf(column.name),
        expression:
          column.expression === null
            ? null
            : expression(
                isGenerated(table, column.attnum) ? key : (column.expressionKey ?? key),
                column.expression,
              ),
        collation: column.collation === null ? null : names.schemas(column.collation),
      })),
    },
  };
}

/** A table of a composite type has the names of its attributes. */
function typeOf(
  { key, info, definition: { ofType } }: TableModel,
  { map, names, looks }: Texts,
): string | null {
  if (ofType === null) return null;
  if (map.columns(info) === null) return names.types(ofType);
  const reason = `it is no table of the type ${ofType}, because its columns have other names`;
  looks.set(key, { part: 'row type', reason });
  return null;
}

/** The expression stands in CREATE TABLE. */
function isGenerated({ info }: TableModel, attnum: number): boolean {
  return info.columns.some((column) => column.attnum === attnum && column.generated !== '');
}

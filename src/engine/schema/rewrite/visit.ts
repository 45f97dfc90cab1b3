/**
 * Goes through a syntax tree and notes the edits that names need. What the server prints (pg_get_viewdef and the like, with an empty
 * search_path) has every object under its schema, so what has none is an alias, or of pg_catalog.
 *
 * A table of a FROM clause gets its former name as an alias, and its renamed columns their former names in the alias's list of columns:
 * `FROM "n"."t2" "t"("id", "old")`. So no other reference to it has to be found.
 */
import { ident, literal, qname } from '../../pg/ident.ts';
import type { QualifiedName } from '../../change/relation.ts';
import { NeedsLook, type ColumnNames, type NameMap } from './names.ts';
import { child, isNode, locationOf, names, nodes, text, type Node, type Parser } from './parser.ts';
import { nameOf, SqlText } from './sql-text.ts';

/** A relation whose columns are spoken of by their own names, outside any FROM clause. */
export interface Scope {
  readonly columns: ColumnNames;
  /** Names that may stand before such a column: `new`, `old`, the table's. */
  readonly qualifiers: readonly string[];
  /** A column may stand without any. */
  readonly isBare: boolean;
  /** The table itself, where its columns may be spoken of by its name. */
  readonly table?: { readonly name: string; readonly wanted: string };
  /** A row that is a parameter of a function: which, from 1 on. */
  readonly parameter?: number;
}

export interface Visit {
  readonly parser: Parser;
  readonly map: NameMap;
  readonly sql: SqlText;
  /** A text that a person has written, where names may stand without their schemas: the names that are relations in it. */
  readonly byHand?: ReadonlySet<string>;
}

/** What holds references to relations that are not part of a query. */
const NOT_QUERIES = new Set(['lockedRels', 'relations', 'objects', 'inhRelations', 'constraints']);

export function visit(of: Visit, node: Node, scopes: readonly Scope[]): void {
  if (typeof node.relname === 'string' && 'relpersistence' in node) visitTarget(of, node);
  if (Array.isArray(node.names) && 'typemod' in node) visitType(of, node);
  if (Array.isArray(node.collname)) visitCollation(of, node);
  for (const [key, value] of Object.entries(node)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (!isNode(one)) continue;
      if (key === 'RangeVar') visitTarget(of, one);
      else if (isFromItem(key, one)) visitFromItem(of, child(one, 'RangeVar') ?? one);
      else visitKind(of, { key, node: one }, scopes);
    }
  }
}

function isFromItem(key: string, one: Node): boolean {
  return 'RangeVar' in one && !NOT_QUERIES.has(key);
}

function visitKind(of: Visit, { key, node }: { key: string; node: Node }, scopes: readonly Scope[]): void {
  switch (key) {
    case 'ColumnRef':
      return visitColumn(of, node, scopes);
    case 'FuncCall':
      editSchema(of, names(node.funcname), locationOf(node));
      return visit(of, node, scopes);
    case 'A_Expr':
      visitOperator(of, node);
      return visit(of, node, scopes);
    case 'TypeCast':
      visitCast(of, node);
      return visit(of, node, scopes);
    case 'A_Indirection':
      visitField(of, node, scopes);
      return visit(of, node, scopes);
    case 'VariableSetStmt':
      return visitSetting(of, node);
    // In a query of its own no column stands for one of ours without its qualifier.
    case 'SelectStmt':
      return visit(
        of,
        node,
        scopes.map((scope) => ({ ...scope, isBare: false })),
      );
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return visitWrite(of, { key, node }, scopes);
    default:
      visit(of, node, scopes);
  }
}

/** `$1.total`, `(row).total` of a row that is a parameter. */
function visitField({ sql, map, byHand }: Visit, node: Node, scopes: readonly Scope[]): void {
  const [first] = nodes(node.indirection);
  const field = text(child(first ?? {}, 'String') ?? {}, 'sval');
  if (field === null || !map.isAffectedColumn(field)) return;
  const argument = child(node, 'arg') ?? {};
  const [number, column] = [child(argument, 'ParamRef'), child(argument, 'ColumnRef')];
  const words = column ? nodes(column.fields) : [];
  const name = text(child(words.at(-1) ?? {}, 'String') ?? {}, 'sval');
  const scope = scopes.find(
    ({ parameter, qualifiers }) =>
      parameter !== undefined &&
      (number ? parameter === number.number : name !== null && qualifiers.includes(name)),
  );
  const wanted = scope?.columns.renamed.get(field);
  const from = number ?? column;
  if (wanted !== undefined && from) {
    let at = sql.tokenAt(locationOf(from)) + Math.max(0, words.length - 1) * 2 + 1;
    while (sql.word(at) === ')') at++;
    sql.replace(at + 1, at + 1, ident(wanted));
  } else if (!scope && byHand) throw new NeedsLook(`it speaks of "${field}" of a row`);
}

/** `SET search_path TO 'schema', …` of a function. */
function visitSetting({ map, sql }: Visit, node: Node): void {
  if (text(node, 'name') !== 'search_path') return;
  for (const one of nodes(node.args)) {
    const constant = child(one, 'A_Const');
    const schema = constant && text(child(constant, 'sval') ?? {}, 'sval');
    if (!constant || typeof schema !== 'string' || map.schema(schema) === schema) continue;
    const at = sql.tokenAt(locationOf(constant));
    sql.replace(at, at, literal(map.schema(schema)).trimStart());
  }
}

function relationOf(node: Node): QualifiedName | null {
  const [schema, name] = [text(node, 'schemaname'), text(node, 'relname')];
  return schema === null || name === null ? null : { schema, name };
}

/** A relation that is no part of a query: what an index is on, a trigger, an INSERT. */
function visitTarget({ map, sql, byHand }: Visit, node: Node): void {
  const relation = relationOf(node);
  const name = text(node, 'relname');
  if (!relation && byHand && name !== null && map.isAffected(name))
    throw new NeedsLook(`it speaks of "${name}" without a schema`);
  if (!relation) return;
  const wanted = map.relation(relation);
  if (wanted.schema === relation.schema && wanted.name === relation.name) return;
  const at = sql.tokenAt(locationOf(node));
  sql.replace(at, at + 2, qname(wanted));
}

function visitFromItem(of: Visit, node: Node): void {
  visitTarget(of, node);
  const { map, sql } = of;
  const relation = relationOf(node);
  if (!relation) return;
  const columns = map.columns(relation);
  const alias = child(node, 'alias');
  const name = sql.tokenAt(locationOf(node)) + 2;
  const last = sql.word(name + 1) === '*' ? name + 1 : name;
  const list = columns ? `(${columns.inOrder.map(ident).join(', ')})` : '';
  if (alias === null) {
    if (columns || map.relation(relation).name !== relation.name)
      sql.insertBehind(last, ` ${ident(relation.name)}${list}`);
    return;
  }
  if (!columns) return;
  const aliasAt = sql.word(last + 1).toUpperCase() === 'AS' ? last + 2 : last + 1;
  const given = names(alias.colnames);
  if (given.length === 0) sql.insertBehind(aliasAt, list);
  // The alias names the first of its columns itself.
  else if (given.length < columns.inOrder.length)
    sql.insertBehind(
      sql.closing(aliasAt + 1) - 1,
      columns.inOrder
        .slice(given.length)
        .map((one) => `, ${ident(one)}`)
        .join(''),
    );
}

/** A table's row type is called as the table is; no other type can be. */
function visitType({ map, sql }: Visit, node: Node): void {
  const [schema, name] = names(node.names);
  if (schema === undefined || name === undefined) return;
  const wanted = map.relation({ schema, name });
  const at = sql.tokenAt(locationOf(node));
  if (wanted.name !== name) sql.replace(at, at + 2, qname(wanted));
  else if (wanted.schema !== schema) sql.replace(at, at, ident(wanted.schema));
}

/** `schema.` before a name, whatever it names. */
export function editSchema({ map, sql }: Visit, qualified: readonly string[], position: number): void {
  const [schema] = qualified;
  if (qualified.length < 2 || schema === undefined || map.schema(schema) === schema) return;
  const at = sql.tokenAt(position);
  sql.replace(at, at, ident(map.schema(schema)));
}

function visitCollation(of: Visit, node: Node): void {
  // COLLATE stands at the position, the name behind it.
  const at = of.sql.tokenAt(locationOf(node));
  const first = of.sql.word(at).toUpperCase() === 'COLLATE' ? at + 1 : at;
  editSchema(of, names(node.collname), of.sql.tokens[first]?.start ?? 0);
}

/** `OPERATOR(schema.+)`. */
function visitOperator(of: Visit, node: Node): void {
  const operator = names(node.name);
  if (operator.length < 2) return;
  const at = of.sql.tokenAt(locationOf(node));
  editSchema(of, operator, of.sql.tokens[at + 2]?.start ?? 0);
}

/** `'schema.name'::regclass` and its like: the name inside the literal. */
function visitCast({ parser, map, sql }: Visit, node: Node): void {
  const constant = child(child(node, 'arg') ?? {}, 'A_Const');
  const value = constant && text(child(constant, 'sval') ?? {}, 'sval');
  const type = names(child(node, 'typeName')?.names).at(-1);
  if (!constant || typeof value !== 'string' || !type?.startsWith('reg')) return;
  const parts = partsOfName(parser, value);
  const [schema, name] = parts;
  const at = sql.tokenAt(locationOf(constant));
  if (type === 'regnamespace' && schema !== undefined && name === undefined) {
    if (map.schema(schema) !== schema) sql.replace(at, at, literal(ident(map.schema(schema))).trimStart());
    return;
  }
  if (schema === undefined || name === undefined) return;
  const wanted = type === 'regclass' ? map.relation({ schema, name }) : { schema: map.schema(schema), name };
  if (wanted.schema === schema && wanted.name === name) return;
  // A function's arguments follow its name.
  const rest = value.slice(value.indexOf('(') < 0 ? value.length : value.indexOf('('));
  sql.replace(at, at, literal(`${qname(wanted)}${type === 'regprocedure' ? rest : ''}`).trimStart());
}

function partsOfName(parser: Parser, value: string): string[] {
  const inner = new SqlText(parser, value);
  const words = inner.tokens.map((_, at) => inner.word(at));
  const end = words.indexOf('(');
  return words.slice(0, end < 0 ? words.length : end).flatMap((word) => (word === '.' ? [] : [nameOf(word)]));
}

function visitColumn({ sql, map, byHand }: Visit, node: Node, scopes: readonly Scope[]): void {
  const fields = nodes(node.fields).map((field) => text(child(field, 'String') ?? {}, 'sval'));
  const at = sql.tokenAt(locationOf(node));
  const column = fields.at(-1);
  if (fields.length > 2) {
    // `schema.table.column`: the table's alias is its former name.
    const [schema, name] = fields;
    if (typeof schema === 'string' && typeof name === 'string') {
      const isMapped = map.relation({ schema, name }).name !== name || map.schema(schema) !== schema;
      if (isMapped || map.columns({ schema, name })) sql.replace(at, at + 2, ident(name));
    }
    return;
  }
  const first = fields.length === 2 ? fields[0] : null;
  const self = scopes.find(({ table }) => table?.name === first)?.table;
  if (self && self.wanted !== self.name) sql.replace(at, at, ident(self.wanted));
  if (typeof column !== 'string') return;
  if (byHand && map.leavesOut(column)) throw new NeedsLook(`it speaks of "${column}", which is left out`);
  for (const { columns, qualifiers, isBare } of scopes) {
    const applies = typeof first === 'string' ? qualifiers.includes(first) : isBare;
    const renamed = applies ? columns.renamed.get(column) : undefined;
    if (renamed === undefined) continue;
    const last = at + (fields.length - 1) * 2;
    sql.replace(last, last, ident(renamed));
    return;
  }
  const isKnown = (name: string) =>
    byHand?.has(name) === true || scopes.some(({ qualifiers }) => qualifiers.includes(name));
  if (typeof first === 'string' && byHand && !isKnown(first) && map.isAffectedColumn(column))
    throw new NeedsLook(`it speaks of "${column}" of a row`);
}

/** Statements that write, as rules and functions have them. The written table takes no list of columns as an alias. */
function visitWrite(of: Visit, { key, node }: { key: string; node: Node }, scopes: readonly Scope[]): void {
  const target = child(node, 'relation');
  const relation = target && relationOf(target);
  const columns = relation && of.map.columns(relation);
  const inner = scopes.map((scope) => ({ ...scope, isBare: false }));
  if (!target || !relation || !columns) return visit(of, node, inner);
  if (key === 'MergeStmt' || 'onConflictClause' in node)
    throw new NeedsLook(`it writes into ${relation.schema}.${relation.name}, whose columns have other names`);
  if (key === 'InsertStmt') for (const one of nodes(node.cols)) editAssigned(of, one, columns);
  if (key === 'UpdateStmt') for (const one of nodes(node.targetList)) editAssigned(of, one, columns);
  const alias = text(child(target, 'alias') ?? {}, 'aliasname') ?? relation.name;
  const isAlone = !('fromClause' in node) && !('usingClause' in node);
  const own: Scope = { columns, qualifiers: [alias], isBare: isAlone };
  visit(of, node, [own, ...inner]);
  if (alias === relation.name && of.map.relation(relation).name !== relation.name && key !== 'InsertStmt')
    throw new NeedsLook(`it writes into ${relation.schema}.${relation.name} without an alias`);
}

/** A column that is written. */
function editAssigned({ sql }: Visit, node: Node, { renamed }: ColumnNames): void {
  const target = child(node, 'ResTarget');
  const wanted = renamed.get((target && text(target, 'name')) ?? '');
  if (!target || wanted === undefined) return;
  const at = sql.tokenAt(locationOf(target));
  sql.replace(at, at, ident(wanted));
}

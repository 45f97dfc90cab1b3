/**
 * Rewrites SQL that mentions objects which are called otherwise on the target: what the server prints of views, expressions, indexes,
 * constraints, rules, triggers, policies and functions. Names are found by the server's own parser; everything else stays as it was.
 */
import type { QualifiedName } from '../../change/relation.ts';
import { ident, literal } from '../../pg/ident.ts';
import { NeedsLook, type ColumnNames, type NameMap } from './names.ts';
import { child, isNode, names, nodes, text, type Node, type Parser } from './parser.ts';
import { nameOf, SqlText } from './sql-text.ts';
import { editSchema, visit, type Scope, type Visit } from './visit.ts';

export interface Rewriter {
  /** A query: the definition of a view. */
  query(sql: string): string;
  /** An expression, which may speak of the columns of `table`. */
  expression(sql: string, table?: QualifiedName): string;
  /** `CHECK (…)` also of a domain, `FOREIGN KEY (…) REFERENCES …`, as pg_get_constraintdef has it. */
  constraint(sql: string, table?: QualifiedName): string;
  /** `RANGE (…)`, as pg_get_partkeydef has it. */
  partitionKey(sql: string, table: QualifiedName): string;
  /** CREATE INDEX, STATISTICS, TRIGGER, RULE. Throws NeedsLook where a name cannot be rewritten with certainty. */
  statement(sql: string): string;
  /** CREATE FUNCTION, PROCEDURE. `look`: why a person should look at its body, which has stayed as it was. */
  routine(sql: string): { readonly sql: string; readonly look: string | null };
}

const SAME_COLUMNS: ColumnNames = { renamed: new Map(), inOrder: [] };

const SELECT = 'SELECT ';
const ADD = 'ALTER TABLE t ADD ';
const PARTITION_BY = 'CREATE TABLE t () PARTITION BY ';

export function rewriterOf(parser: Parser, map: NameMap): Rewriter {
  const begin = (sql: string): { of: Visit; statements: readonly Node[] } => ({
    of: { parser, map, sql: new SqlText(parser, sql) },
    statements: parser.parse(sql),
  });
  const scopeOf = (table: QualifiedName | undefined, qualifiers: readonly string[] = []): Scope[] => {
    if (!table) return [];
    const columns = map.columns(table) ?? SAME_COLUMNS;
    const self = { name: table.name, wanted: map.relation(table).name };
    return [{ columns, qualifiers: [table.name, ...qualifiers], isBare: true, table: self }];
  };
  const query = (sql: string) => {
    const { of, statements } = begin(sql);
    for (const one of statements) visit(of, one, []);
    return of.sql.result();
  };
  const byHand = (sql: string, scopes: readonly Scope[]) => {
    const { of, statements } = begin(sql);
    const relations = new Set<string>();
    for (const one of statements) noteRelations(one, relations);
    for (const one of statements) visit({ ...of, byHand: relations }, one, scopes);
    return of.sql.result();
  };
  return {
    query,
    expression: (sql, table) => {
      const { of, statements } = begin(`${SELECT}${sql}`);
      // The expression is no query of its own: its bare columns are the table's.
      for (const one of statements) visit(of, child(one, 'SelectStmt') ?? one, scopeOf(table));
      return of.sql.result().slice(SELECT.length);
    },
    constraint: (sql, table) => {
      const { of, statements } = begin(`${ADD}${sql}`);
      for (const one of statements) visit(of, one, scopeOf(table));
      if (table) editColumnLists(of, table);
      return of.sql.result().slice(ADD.length);
    },
    partitionKey: (sql, table) => {
      const { of, statements } = begin(`${PARTITION_BY}${sql}`);
      for (const one of statements) {
        const spec = child(child(one, 'CreateStmt') ?? {}, 'partspec') ?? {};
        visit(of, spec, scopeOf(table));
        const open = of.sql.find(['('], of.sql.find(['BY']));
        editElements(of, open, { elements: nodes(spec.partParams), kind: 'PartitionElem', table });
      }
      return of.sql.result().slice(PARTITION_BY.length);
    },
    statement: (sql) => {
      const { of, statements } = begin(sql);
      for (const one of statements) statement(of, one, scopeOf);
      return of.sql.result();
    },
    routine: (sql) => {
      const { of, statements } = begin(sql);
      const looks = statements.flatMap((one) => {
        const inner = child(one, 'CreateFunctionStmt');
        return inner ? routine(of, inner, byHand) : [];
      });
      return { sql: of.sql.result(), look: looks[0] ?? null };
    },
  };
}

type ScopeOf = (table: QualifiedName | undefined, qualifiers?: readonly string[]) => Scope[];

function statement(of: Visit, node: Node, scopeOf: ScopeOf): void {
  const [kind = '', inner] = Object.entries(node)[0] ?? [];
  const one = (inner ?? {}) as Node;
  const table = tableOf(child(one, 'relation'));
  switch (kind) {
    case 'IndexStmt':
      visit(of, one, scopeOf(table));
      editIndexName(of, one, table);
      if (table) editIndexColumns(of, one, table);
      return;
    case 'CreateTrigStmt':
      visit(of, one, scopeOf(table, ['new', 'old']));
      editFunctionOf(of, one);
      if (table) editUpdateOf(of, names(one.columns), table);
      return;
    case 'RuleStmt':
      visit(of, one, asQualified(scopeOf(table, ['new', 'old'])));
      return;
    case 'CreateStatsStmt':
      return statistics(of, one, scopeOf);
    default:
      visit(of, node, []);
  }
}

/** The reasons to look at its body. */
function routine(of: Visit, node: Node, byHand: (sql: string, scopes: readonly Scope[]) => string): string[] {
  const scopes = parameters(of, node);
  visit(of, node, scopes);
  const at = of.sql.find(['FUNCTION', 'PROCEDURE']) + 1;
  editSchema(of, names(node.funcname), of.sql.tokens[at]?.start ?? 0);
  try {
    editBody(of, node, (sql) => byHand(sql, scopes));
    return [];
  } catch (thrown) {
    if (!(thrown instanceof NeedsLook)) throw thrown;
    return [thrown.message];
  }
}

/** What is of a composite type has fields of these names; what is not has none. */
function parameters({ map }: Visit, node: Node): Scope[] {
  const given = nodes(node.parameters).map((one) => child(one, 'FunctionParameter') ?? {});
  return given.map((one, at): Scope => {
    const [schema, name] = names(child(one, 'argType')?.names);
    const columns = schema === undefined || name === undefined ? null : map.columns({ schema, name });
    const called = text(one, 'name');
    const qualifiers = called === null ? [] : [called];
    return { columns: columns ?? SAME_COLUMNS, qualifiers, isBare: false, parameter: at + 1 };
  });
}

/** Names under which a statement speaks of relations. */
function noteRelations(node: Node, found: Set<string>): void {
  for (const [key, value] of Object.entries(node)) {
    if (typeof value === 'string' && (key === 'relname' || key === 'aliasname' || key === 'ctename'))
      found.add(value);
    for (const one of Array.isArray(value) ? value : [value]) if (isNode(one)) noteRelations(one, found);
  }
}

/** `CREATE STATISTICS schema.name (…) ON a, (b + c) FROM schema.table`. */
function statistics(of: Visit, node: Node, scopeOf: ScopeOf): void {
  const { sql, map } = of;
  const table = tableOf(child(nodes(node.relations)[0] ?? {}, 'RangeVar'));
  visit(of, node, scopeOf(table));
  editSchema(of, names(node.defnames), sql.tokens[sql.find(['STATISTICS']) + 1]?.start ?? 0);
  const columns = table && map.columns(table);
  if (!columns) return;
  for (const first of sql.partsFrom(sql.find(['ON']) + 1, 'FROM')) {
    const wanted = columns.renamed.get(nameOf(sql.word(first)));
    const isAlone = [',', 'FROM'].includes(sql.word(first + 1).toUpperCase());
    if (wanted !== undefined && isAlone) sql.replace(first, first, ident(wanted));
  }
}

function tableOf(node: Node | null): QualifiedName | undefined {
  const [schema, name] = node ? [text(node, 'schemaname'), text(node, 'relname')] : [null, null];
  return schema === null || name === null ? undefined : { schema, name };
}

function asQualified(scopes: readonly Scope[]): Scope[] {
  return scopes.map((scope) => ({ ...scope, isBare: false }));
}

/** An index stands in its table's schema, and is named without it. */
function editIndexName({ map, sql }: Visit, node: Node, table: QualifiedName | undefined): void {
  const name = text(node, 'idxname');
  if (name === null || !table) return;
  const wanted = map.relation({ schema: table.schema, name }).name;
  const at = sql.find(['ON']) - 1;
  if (wanted !== name && at > 0) sql.replace(at, at, ident(wanted));
}

function editIndexColumns(of: Visit, node: Node, table: QualifiedName): void {
  const { sql } = of;
  const open = sql.find(['('], sql.find(['USING']));
  editElements(of, open, { elements: nodes(node.indexParams), kind: 'IndexElem', table });
  const elements = nodes(node.indexIncludingParams);
  if (elements.length > 0)
    editElements(of, sql.find(['INCLUDE'], sql.closing(open)) + 1, { elements, kind: 'IndexElem', table });
}

/** Elements that are columns; expressions have been seen to. */
function editElements(
  { map, sql }: Visit,
  open: number,
  { elements, kind, table }: { elements: readonly Node[]; kind: string; table: QualifiedName },
): void {
  const columns = map.columns(table);
  for (const [at, first] of sql.partsOf(open).entries()) {
    const element = child(elements[at] ?? {}, kind) ?? {};
    const wanted = columns?.renamed.get(text(element, 'name') ?? '');
    if (wanted !== undefined) sql.replace(first, first, ident(wanted));
    editClasses(map, sql, { element, first, open });
  }
}

/** The operator class and the collation of an element, where they are named with a schema. */
function editClasses(
  map: NameMap,
  sql: SqlText,
  { element, first, open }: { element: Node; first: number; open: number },
): void {
  const end = sql.closing(open);
  for (const list of ['opclass', 'collation']) {
    const [schema, name] = names(element[list]);
    if (schema === undefined || name === undefined || map.schema(schema) === schema) continue;
    for (let at = first; at < end; at++)
      if (sql.word(at + 1) === '.' && nameOf(sql.word(at)) === schema && nameOf(sql.word(at + 2)) === name)
        sql.replace(at, at, ident(map.schema(schema)));
  }
}

/** Lists of columns in a constraint: of keys, exclusions, INCLUDE, a foreign key and what it refers to. */
function editColumnLists({ map, sql }: Visit, table: QualifiedName): void {
  const constraint = sql.tokens.map((_, at) => sql.word(at).toUpperCase());
  let of = table;
  let behind = 0;
  for (const [at, word] of constraint.entries()) {
    if (word === 'REFERENCES') {
      const [schema, name] = [nameOf(sql.word(at + 1)), nameOf(sql.word(at + 3))];
      of = { schema, name };
    }
    if (word === 'DELETE' || word === 'UPDATE') of = table;
    if (word === 'CHECK' || word === 'WHERE') return;
    if (word !== '(' || at < behind) continue;
    behind = sql.closing(at);
    for (const part of sql.partsOf(at)) {
      const isPeriod = sql.word(part) === 'PERIOD' && ![',', ')'].includes(sql.word(part + 1));
      const first = isPeriod ? part + 1 : part;
      const wanted = map.columns(of)?.renamed.get(nameOf(sql.word(first)));
      // What an exclusion is about may be a call or an expression.
      if (wanted !== undefined && sql.word(first + 1) !== '(') sql.replace(first, first, ident(wanted));
    }
  }
}

/** `UPDATE OF a, b` of a trigger. */
function editUpdateOf({ map, sql }: Visit, columns: readonly string[], table: QualifiedName): void {
  const from = sql.find(['OF'], sql.find(['UPDATE']));
  if (columns.length === 0 || from < 0) return;
  for (const [at, column] of columns.entries()) {
    const wanted = map.columns(table)?.renamed.get(column);
    if (wanted !== undefined) sql.replace(from + 1 + 2 * at, from + 1 + 2 * at, ident(wanted));
  }
}

/** `EXECUTE FUNCTION schema.name(…)`. */
function editFunctionOf(of: Visit, node: Node): void {
  const at = of.sql.find(['FUNCTION', 'PROCEDURE'], of.sql.find(['EXECUTE'])) + 1;
  editSchema(of, names(node.funcname), of.sql.tokens[at]?.start ?? 0);
}

/** The body of a function in SQL that is given as a text; others are not read. */
function editBody({ sql }: Visit, node: Node, query: (sql: string) => string): void {
  const options = nodes(node.options).map((one) => child(one, 'DefElem') ?? {});
  const language = options.find((one) => text(one, 'defname') === 'language');
  const body = options.find((one) => text(one, 'defname') === 'as');
  if (!language || !body || text(child(child(language, 'arg') ?? {}, 'String') ?? {}, 'sval') !== 'sql')
    return;
  const [given] = names(child(child(body, 'arg') ?? {}, 'List')?.items);
  const at = sql.find(['AS']) + 1;
  if (given === undefined || at === 0) return;
  try {
    const rewritten = query(given);
    if (rewritten !== given) sql.replace(at, at, quotedAs(sql.word(at), rewritten));
  } catch (thrown) {
    throw thrown instanceof NeedsLook ? thrown : new NeedsLook('its body cannot be read');
  }
}

/** As the body stood before: between dollars where it has none of them itself. */
function quotedAs(former: string, body: string): string {
  const dollars = /^\$[^$]*\$/.exec(former)?.[0];
  return dollars === undefined || body.includes(dollars)
    ? literal(body).trimStart()
    : `${dollars}${body}${dollars}`;
}

/**
 * One form for what means the same: from 16 on a server prints a column of the only relation without that, and names that need no quotes
 * may have them.
 */
import { child, isNode, loadParser, locationOf, nodes, text, type Node } from './parser.ts';
import { nameOf, SqlText } from './sql-text.ts';

/**
 * Makes equal what means the same; a text that is no SQL comes back as it is. `retyped`: names of columns that the user has given another
 * type. A server writes casts around them, or none, as their type needs it: a text that may speak of one is made equal without its casts.
 */
export async function openCanonical(
  retyped: ReadonlySet<string> = new Set(),
): Promise<(sql: string) => string> {
  const parser = await loadParser();
  return (sql) => {
    try {
      const statements = parser.parse(sql);
      const edited = new SqlText(parser, sql);
      for (const one of statements) shorten(edited, one, null);
      const short = edited.result();
      return mayDiffer(edited, retyped)
        ? JSON.stringify(withoutCasts(parser.parse(short)))
        : withoutQuotes(new SqlText(parser, short));
    } catch {
      return sql;
    }
  };
}

/** A query reads a column under other names too, through another view. */
function mayDiffer(sql: SqlText, retyped: ReadonlySet<string>): boolean {
  if (retyped.size === 0) return false;
  const isQuery = /^(?:VIEW|MATERIALIZED|RULE)$/i.test(sql.word(1));
  return isQuery || sql.tokens.some((_, at) => retyped.has(nameOf(sql.word(at))));
}

/** A tree, without where its parts stand in the text. */
function withoutCasts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCasts);
  if (!isNode(value)) return value;
  const cast = child(value, 'TypeCast');
  if (cast) return withoutCasts(cast.arg);
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]) =>
      /(?:location|_start|_end)$/.test(key) ? [] : [[key, withoutCasts(one)]],
    ),
  );
}

/** `only`: the name of the one relation that the columns of the query around can be of. */
function shorten(sql: SqlText, node: Node, only: string | null): void {
  for (const [key, value] of Object.entries(node))
    for (const one of Array.isArray(value) ? value : [value]) {
      if (!isNode(one)) continue;
      if (key === 'ColumnRef') shortenColumn(sql, one, only);
      else shorten(sql, one, 'fromClause' in one ? onlyRelation(one) : key === 'SelectStmt' ? null : only);
    }
}

function shortenColumn(sql: SqlText, node: Node, only: string | null): void {
  const at = sql.tokenAt(locationOf(node));
  if (only === null || nodes(node.fields).length !== 2 || nameOf(sql.word(at)) !== only) return;
  // A whole row is not a column.
  if (sql.word(at + 2) !== '*') sql.replace(at, at + 1, '');
}

function onlyRelation(query: Node): string | null {
  const [first, ...others] = nodes(query.fromClause);
  const item = first && others.length === 0 ? Object.values(first).find(isNode) : undefined;
  if (!first || !item || 'JoinExpr' in first) return null;
  return text(child(item, 'alias') ?? {}, 'aliasname') ?? text(item, 'relname');
}

/** Also of names within a literal that stands for an object. Only to compare: a word of the language would need them. */
function withoutQuotes(sql: SqlText): string {
  for (let at = 0; at < sql.tokens.length; at++) {
    const word = sql.word(at);
    const isName = word.startsWith('"');
    const isReference =
      word.startsWith("'") && sql.word(at + 1) === '::' && sql.word(at + 2).startsWith('reg');
    if (isName || isReference) sql.replace(at, at, word.replaceAll(/"([a-z_][a-z_0-9]*)"/g, '$1'));
  }
  return sql.result();
}

/**
 * One form for what means the same: from 16 on a server prints a column of the only relation without that, and names that need no quotes
 * may have them.
 */
import { child, isNode, loadParser, locationOf, nodes, text, type Node } from './parser.ts';
import { nameOf, SqlText } from './sql-text.ts';

/** Makes equal what means the same; a text that is no SQL comes back as it is. */
export async function openCanonical(): Promise<(sql: string) => string> {
  const parser = await loadParser();
  return (sql) => {
    try {
      const statements = parser.parse(sql);
      const edited = new SqlText(parser, sql);
      for (const one of statements) shorten(edited, one, null);
      return withoutQuotes(new SqlText(parser, edited.result()));
    } catch {
      return sql;
    }
  };
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

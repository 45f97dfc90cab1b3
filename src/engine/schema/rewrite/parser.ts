/** The server's own parser (PostgreSQL 18, as WebAssembly), loaded when a name is first to be rewritten. */

export interface Token {
  /** In bytes. */
  readonly start: number;
  readonly end: number;
}

/** A node of the syntax tree: https://github.com/pganalyze/libpg_query, protobuf/pg_query.proto in JSON. */
export type Node = Readonly<Record<string, unknown>>;

export interface Parser {
  /** The statements. Throws where the text is not SQL. */
  parse(sql: string): readonly Node[];
  scan(sql: string): readonly Token[];
}

export async function loadParser(): Promise<Parser> {
  const { loadModule, parseSync, scanSync } = await import('libpg-query');
  await loadModule();
  return {
    parse: (sql) => (parseSync(sql).stmts ?? []).flatMap(({ stmt }) => (stmt ? [stmt as Node] : [])),
    // It takes no empty text.
    scan: (sql) => (sql.trim() === '' ? [] : scanSync(sql).tokens),
  };
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function nodes(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** A child under this name, whether its kind is written around it or not. */
export function child(node: Node, name: string): Node | null {
  const value = node[name];
  return isNode(value) ? value : null;
}

export function text(node: Node, name: string): string | null {
  const value = node[name];
  return typeof value === 'string' ? value : null;
}

/** Position of a node; the parser leaves out a 0. */
export function locationOf(node: Node): number {
  return typeof node.location === 'number' ? node.location : 0;
}

/** The texts of a list of names. */
export function names(value: unknown): readonly string[] {
  return nodes(value).flatMap((one) => {
    const string = child(one, 'String');
    return string ? [text(string, 'sval') ?? ''] : [];
  });
}

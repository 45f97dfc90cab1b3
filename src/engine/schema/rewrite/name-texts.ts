/** Texts that hold nothing but names: types, lists of arguments, names of functions, operators and collations, as the server writes them. */
import { ident, literal, qname } from '../../pg/ident.ts';
import type { NameMap } from './names.ts';
import type { Parser } from './parser.ts';
import { nameOf, SqlText } from './sql-text.ts';

export interface NameTexts {
  /** Types, also in a list of arguments. The row type of a table is called as the table is. */
  readonly types: (text: string) => string;
  /** Names of which the schema alone can be another. */
  readonly schemas: (text: string) => string;
  /** The value of `search_path`. */
  readonly searchPath: (text: string) => string;
}

export function nameTexts(parser: Parser, map: NameMap): NameTexts {
  return {
    types: (text) => edited(new SqlText(parser, text), { parser, map }, true),
    searchPath: (text) => editedPath(new SqlText(parser, text), map),
    schemas: (text) => edited(new SqlText(parser, text), { parser, map }, false),
  };
}

function edited(
  sql: SqlText,
  { parser, map }: { readonly parser: Parser; readonly map: NameMap },
  areTypes: boolean,
): string {
  editDictionary(sql, { parser, map });
  for (let at = 0; at + 2 < sql.tokens.length; at++) {
    if (sql.word(at + 1) !== '.' || sql.word(at - 1) === '.') continue;
    const [schema, name] = [nameOf(sql.word(at)), nameOf(sql.word(at + 2))];
    // What takes arguments is a function.
    const wanted =
      areTypes && sql.word(at + 3) !== '('
        ? map.relation({ schema, name })
        : { schema: map.schema(schema), name };
    if (wanted.name !== name) sql.replace(at, at + 2, qname(wanted));
    else if (wanted.schema !== schema) sql.replace(at, at, ident(wanted.schema));
  }
  return sql.result();
}

/** `dictionary = 'schema.name'`: an option of one dictionary that names another. */
function editDictionary(
  sql: SqlText,
  { parser, map }: { readonly parser: Parser; readonly map: NameMap },
): void {
  const at = sql.find(['DICTIONARY']) + 2;
  const value = sql.word(at);
  if (sql.word(at - 1) !== '=' || !value.startsWith("'")) return;
  const text = value.slice(1, -1).replaceAll("''", "'");
  const wanted = edited(new SqlText(parser, text), { parser, map }, false);
  if (wanted !== text) sql.replace(at, at, literal(wanted).trimStart());
}

/** `"$user"` stands for a name that is not known here. */
function editedPath(sql: SqlText, map: NameMap): string {
  for (let at = 0; at < sql.tokens.length; at++) {
    const word = sql.word(at);
    const name = nameOf(word);
    if (word !== ',' && !name.startsWith('$') && map.schema(name) !== name)
      sql.replace(at, at, ident(map.schema(name)));
  }
  return sql.result();
}

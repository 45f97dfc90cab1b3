/** One type, as a person writes it in SQL, in the form that a server prints: what is no single type name is refused. */
import { AppError } from '../../../base/errors/app-error.ts';
import type { QualifiedName } from '../../change/relation.ts';
import { ident, literal, qname } from '../../pg/ident.ts';
import { child, loadParser, names, nodes, text, type Node, type Parser } from './parser.ts';

export interface TypeName {
  /** With length or precision: `character varying(40)`, `"shop"."mood"[]`. Made here of what was read, so that nothing else is in it. */
  readonly sql: string;
  /** Without them; safe in casts. */
  readonly bare: string;
  /** Of a type with a schema; null: one of the server's own. */
  readonly name: QualifiedName | null;
}

/** Throws USAGE, naming the column, for what is no type. Nothing is loaded where there is nothing to read. */
export async function assertTypeNames(columnTypes: Readonly<Record<string, string>>): Promise<void> {
  const wishes = Object.entries(columnTypes);
  if (wishes.length === 0) return;
  const parser = await loadParser();
  for (const [column, type] of wishes) readTypeName(parser, type, column);
}

/** `column`: for the error. Throws USAGE. */
export function readTypeName(parser: Parser, type: string, column: string): TypeName {
  const found = typeNode(parser, type);
  const read = found && typeName(found);
  if (read) return read;
  throw new AppError('USAGE', {
    problem: `"${type}" is not the name of a type, to be given to ${column}.`,
    remedy:
      'Write one type as in SQL: bigint, numeric(20,4), "varchar(40)", timestamptz, text[]; one that is not the server\'s own with its schema.',
  });
}

/** Null unless the text is a type and nothing besides. */
function typeNode(parser: Parser, type: string): Node | null {
  try {
    const [statement, ...others] = parser.parse(`SELECT NULL::${type}`);
    const select = child(statement ?? {}, 'SelectStmt') ?? {};
    const [target, ...columns] = nodes(select.targetList);
    const result = child(target ?? {}, 'ResTarget') ?? {};
    const cast = child(child(result, 'val') ?? {}, 'TypeCast') ?? {};
    const isNull = child(child(cast, 'arg') ?? {}, 'A_Const')?.isnull === true;
    const isAlone =
      others.length + columns.length === 0 && hasOnly(select, OF_SELECT) && hasOnly(result, OF_RESULT);
    return isNull && isAlone ? child(cast, 'typeName') : null;
  } catch {
    return null;
  }
}

const OF_SELECT = ['targetList', 'limitOption', 'op'];
const OF_RESULT = ['val', 'location'];

function hasOnly(node: Node, keys: readonly string[]): boolean {
  return Object.keys(node).every((key) => keys.includes(key));
}

/** How a server prints its own types, where that is not their name in the catalog. */
const PRINTED: Readonly<Record<string, string>> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
  // Another type than char.
  char: '"char"',
};

/** The same of those that have a length or a precision: `of`, with its brackets. */
const PRINTED_OF: Readonly<Record<string, (of: string) => string>> = {
  varchar: (of) => `character varying${of}`,
  bpchar: (of) => (of === '' ? 'bpchar' : `character${of}`),
  bit: (of) => (of === '' ? '"bit"' : `bit${of}`),
  varbit: (of) => `bit varying${of}`,
  numeric: (of) => `numeric${/^\(\d+\)$/.test(of) ? of.replace(')', ',0)') : of}`,
  interval: (of) => `interval${of}`,
  time: (of) => `time${of} without time zone`,
  timetz: (of) => `time${of} with time zone`,
  timestamp: (of) => `timestamp${of} without time zone`,
  timestamptz: (of) => `timestamp${of} with time zone`,
};

function typeName(node: Node): TypeName | null {
  const [first, second, ...others] = names(node.names);
  if (first === undefined || others.length > 0 || node.setof === true || node.pct_type === true) return null;
  const own = second ?? first;
  const name = second === undefined || first === 'pg_catalog' ? null : { schema: first, name: second };
  const of = modifier(node, own);
  if (of === null || (name === null && own in PRINTED && of !== '')) return null;
  const printed = (modifiers: string) =>
    name === null ? printedOf(own, modifiers) : qname(name) + modifiers;
  const dimensions = nodes(node.arrayBounds).length > 0 ? '[]' : '';
  return { sql: printed(of) + dimensions, bare: printed('') + dimensions, name };
}

function printedOf(name: string, modifiers: string): string {
  const plain = /^[a-z_][a-z_0-9]*$/.test(name) ? name : ident(name);
  return PRINTED[name] ?? PRINTED_OF[name]?.(modifiers) ?? plain + modifiers;
}

/** Of an interval without fields. */
const FULL_RANGE = '32767';

/** `(20,4)`, empty without; null for what is no plain value. */
function modifier(node: Node, name: string): string | null {
  const values = nodes(node.typmods).map(modifierValue);
  if (name === 'interval' && values.length > 0 && values.shift() !== FULL_RANGE) return null;
  if (values.includes(null)) return null;
  return values.length === 0 ? '' : `(${values.join(',')})`;
}

/** A number, a text, or a word as in `geometry(Point,4326)`. */
function modifierValue(node: Node): string | null {
  const constant = child(node, 'A_Const');
  const number = constant && child(constant, 'ival');
  if (number) return String(typeof number.ival === 'number' ? number.ival : 0);
  const given = constant && child(constant, 'sval');
  if (given) return literal(text(given, 'sval') ?? '').trimStart();
  const words = names(child(node, 'ColumnRef')?.fields);
  return words.length === 1 ? ident(words[0] ?? '') : null;
}

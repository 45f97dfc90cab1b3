/**
 * The content digest of one table, computed by the server that holds it: the number of rows and the sums of both halves of
 * every row's md5. It does not depend on the order of rows, counts duplicates exactly, and is the same on every major version.
 */
import type { ColumnInfo, TableInfo } from '../pg/catalog/tables/tables.ts';
import { ident, qname } from '../pg/ident.ts';
import type { Session } from '../pg/session.ts';

/**
 * `text`: the output of both servers is the shortest exact one (PostgreSQL 12 and later), so text says it all.
 * `bits`: one server is older and prints other digits: floats go through their binary form. Inside composites, domains and ranges,
 * where that is out of reach, they are compared to 15 digits.
 */
export type FloatForm = 'text' | 'bits';

export interface TableDigest {
  readonly rows: bigint;
  /** Sums of the first and second 64 bits of the md5 of each row, as decimal text. */
  readonly high: string;
  readonly low: string;
}

/** Which form both sides must use, from both `server_version_num`. */
export function floatForm(sourceVersion: number, targetVersion: number): FloatForm {
  return Math.min(sourceVersion, targetVersion) >= 120_000 ? 'text' : 'bits';
}

/** Settings that must hold in the transaction of a digest query, as SQL; null when there are none. */
export function digestSettings(form: FloatForm): string | null {
  return form === 'bits' ? 'SET LOCAL extra_float_digits = 0' : null;
}

type SendForm = (value: string) => string;

/** What arithmetic makes of NaN differs in its sign bit, which no text form keeps. */
function floatBits(send: string, type: string): SendForm {
  const nan = `'NaN'::pg_catalog.${type}`;
  return (value) => `pg_catalog.${send}(CASE WHEN ${value} = ${nan} THEN ${nan} ELSE ${value} END)`;
}

const plainSend =
  (name: string): SendForm =>
  (value) =>
    `pg_catalog.${name}(${value})`;

const FLOAT_TYPES: Readonly<Record<string, SendForm>> = {
  real: floatBits('float4send', 'float4'),
  'double precision': floatBits('float8send', 'float8'),
  point: plainSend('point_send'),
  line: plainSend('line_send'),
  lseg: plainSend('lseg_send'),
  box: plainSend('box_send'),
  path: plainSend('path_send'),
  polygon: plainSend('poly_send'),
  circle: plainSend('circle_send'),
};

/** PostgreSQL 16 began to print bytes above 127 as `\ooo`. */
const CHAR_TYPE: Readonly<Record<string, SendForm>> = { '"char"': plainSend('charsend') };

/** `as`: the column has another type on the other side, as which its values are read first. */
export interface DigestColumn extends ColumnInfo {
  readonly as?: ColumnInfo;
}

/** Types of a length, to which a cast cuts what input refuses: varchar, character, bit, bit varying. */
const WITH_LENGTH = new Set([1043, 1042, 1560, 1562]);

/** What the other side has made of the value's text. */
function readAs(value: string, { typeKind, typeOid, type }: ColumnInfo): string {
  const text = `pg_catalog.format('%s', ${value})`;
  const cast = `CAST(${text} AS ${type})`;
  const trimmed = (of: string) => `pg_catalog.rtrim(${of})`;
  const asCast = `pg_catalog.format('%s', ${cast})`;
  const read = WITH_LENGTH.has(typeOid)
    ? `CASE WHEN ${trimmed(text)} = ${trimmed(asCast)} THEN ${asCast} ELSE ${text} END`
    : typeKind === 'e'
      ? text
      : cast;
  return `CASE WHEN ${value} IS DISTINCT FROM NULL THEN ${read} END`;
}

/** SQL whose text form is the same on every version for equal values of this column, and different for unequal ones. */
export function columnExpression(given: DigestColumn, form: FloatForm): string {
  const column = given.as ?? given;
  const own = `t.${ident(given.name)}`;
  const value = given.as ? readAs(own, given.as) : own;
  const sends = form === 'bits' ? { ...CHAR_TYPE, ...FLOAT_TYPES } : CHAR_TYPE;
  const plain = sends[column.bareType];
  if (plain) return plain(value);
  const element = column.isArray ? sends[column.bareType.replace(/\[\]$/, '')] : undefined;
  if (!element) return value;
  // Not array_send: it tells whether the array has a null bitmap, which equal arrays may or may not have.
  return `ROW(${value} IS NULL, pg_catalog.array_dims(${value}), ARRAY(
      SELECT ${element('e.item')} FROM pg_catalog.unnest(${value}) WITH ORDINALITY AS e(item, position) ORDER BY e.position))`;
}

export interface DigestQuery {
  readonly table: TableInfo;
  /** Only rows that meet it; none: all. */
  readonly condition?: string | undefined;
  /** In the order of the source; looked up by name on both sides. */
  readonly columns: readonly DigestColumn[];
  readonly form: FloatForm;
  /** `server_encoding`: md5 sees bytes, so text of another encoding is converted first. */
  readonly encoding: string;
}

/** Builds the query: one row with `rows`, `high` and `low`. */
export function digestSql(query: DigestQuery): string {
  const { table, columns, form, encoding, condition } = query;
  // record_out keeps NULL (nothing) and '' (two quotes) apart and quotes every delimiter.
  const row = `ROW(${columns.map((column) => columnExpression(column, form)).join(', ')})::pg_catalog.text`;
  const bytes = encoding === 'UTF8' ? row : `pg_catalog.convert_to(${row}, 'UTF8')`;
  const half = (from: number) =>
    `coalesce(pg_catalog.sum(('x' || pg_catalog.substr(r.digest, ${from}, 16))::pg_catalog.bit(64)::pg_catalog.int8), 0)::pg_catalog.text`;
  // OFFSET 0 keeps the planner from pulling the subquery up, which would compute every md5 twice.
  return `SELECT pg_catalog.count(*)::pg_catalog.text AS rows, ${half(1)} AS high, ${half(17)} AS low
  FROM (SELECT pg_catalog.md5(${bytes}) AS digest FROM ${from(table)} AS t${where(condition)} OFFSET 0) AS r`;
}

/** A plain table without the tables that inherit from it (they are tables of their own); a partitioned one with its partitions. */
function from(table: TableInfo): string {
  return table.kind === 'p' ? qname(table) : `ONLY ${qname(table)}`;
}

function where(condition: string | undefined): string {
  return condition === undefined ? '' : ` WHERE ${condition}`;
}

export async function readDigest(session: Session, query: DigestQuery): Promise<TableDigest> {
  const { rows, high, low } = await session.one(digestSql(query));
  return { rows: BigInt(rows ?? '0'), high: high ?? '0', low: low ?? '0' };
}

/** The digest of the rows of both tables together. */
export function addDigests(a: TableDigest, b: TableDigest): TableDigest {
  const sum = (x: string, y: string) => String(BigInt(x) + BigInt(y));
  return { rows: a.rows + b.rows, high: sum(a.high, b.high), low: sum(a.low, b.low) };
}

export async function countRows(session: Session, table: TableInfo, condition?: string): Promise<bigint> {
  const { rows } = await session.one(
    `SELECT pg_catalog.count(*)::pg_catalog.text AS rows FROM ${from(table)} AS t${where(condition)}`,
  );
  return BigInt(rows ?? '0');
}

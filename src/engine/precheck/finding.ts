/** How findings are written down: the pieces of text that checks share. */
import { displayName, type QualifiedName } from '../change/relation.ts';
import { qname } from '../pg/ident.ts';
import type { CheckResult, Finding } from './check.ts';

export function finding(
  check: string,
  result: CheckResult,
  details: { readonly what: string; readonly evidence?: string; readonly fix?: string },
): Finding {
  return { check, result, what: details.what, evidence: details.evidence ?? '', fix: details.fix ?? null };
}

const SHOWN = 10;

/** `a, b and 3 more` */
export function listed(names: readonly string[]): string {
  const rest = names.length - SHOWN;
  return names.slice(0, SHOWN).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

export function listedTables(tables: readonly QualifiedName[]): string {
  return listed(tables.map(displayName));
}

/** `1 table`, `2 tables` */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** One statement for each table, as the owner can paste them. */
export function perTable(tables: readonly QualifiedName[], statement: (table: string) => string): string {
  return tables.map((table) => statement(qname(table))).join('\n');
}

/** For a shell; the quotes inside keep dots and stars of a name literal. */
export function excludeOption(table: QualifiedName): string {
  return `--exclude-table '${qname(table).replaceAll("'", "'\\''")}'`;
}

/** Array parameter for `$1::oid[]`. */
export function oidArray(tables: readonly { readonly oid: number }[]): string {
  return `{${tables.map(({ oid }) => oid).join(',')}}`;
}

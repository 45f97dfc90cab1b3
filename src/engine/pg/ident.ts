/** Quoting: the only functions that turn names and values into SQL text. Always quoted, so no keyword list can be out of date. */
import type { QualifiedName } from '../change/relation.ts';

export function ident(name: string): string {
  if (name.includes('\0')) throw new Error('an identifier cannot contain a NUL character');
  return `"${name.replaceAll('"', '""')}"`;
}

export function qname({ schema, name }: QualifiedName): string {
  return `${ident(schema)}.${ident(name)}`;
}

/** A string literal that means the same whatever `standard_conforming_strings` says. */
export function literal(value: string): string {
  if (value.includes('\0')) throw new Error('a literal cannot contain a NUL character');
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

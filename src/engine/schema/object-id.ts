/** Names of objects for people and for the record of what was created: `table shop.orders`. */
import { ident } from '../pg/ident.ts';

/** Unique per kind and parts: a part with a dot, a quote or a space is quoted, so that `"a.b".c` and `a."b.c"` differ. */
export function objectId(kind: string, ...parts: readonly string[]): string {
  // Joined, and not pasted together: there are very many, and they are kept.
  return [kind, objectName(...parts)].join(' ');
}

/** The same without the kind. */
export function objectName(...parts: readonly string[]): string {
  return parts.map((part) => (/^[^\s."]+$/.test(part) ? part : ident(part))).join('.');
}

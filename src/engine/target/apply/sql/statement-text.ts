/**
 * The texts of statements that come again with every window, each made once: to write one takes as long as the rest of a small statement,
 * and the same string is found by the connection at once among those it has prepared.
 */
import type { TargetTable } from './target-table.ts';

/** Beyond it all are forgotten: thousands of tables are not to keep a text each. */
const MAX_TEXTS = 1_000;

let byTable = new WeakMap<TargetTable, Map<string, string>>();
let count = 0;

/** `what`: tells it from the other statements of the table. */
export function textOf(table: TargetTable, what: string, write: () => string): string {
  const known = byTable.get(table)?.get(what);
  if (known !== undefined) return known;
  if (++count > MAX_TEXTS) {
    byTable = new WeakMap();
    count = 1;
  }
  const text = write();
  const texts = byTable.get(table) ?? new Map<string, string>();
  byTable.set(table, texts.set(what, text));
  return text;
}

/** Which statements of a window may run beside one another, each share in a lane of its own (data-plane P12). Pure. */
import { displayName, nameKey, type QualifiedName } from '../../change/relation.ts';
import type { Account } from '../books/account.ts';
import type { Planned } from './sql/apply-sql.ts';
import type { TargetTable } from './sql/target-table.ts';
import type { Accounts } from './window-end.ts';

/** Less than this is done sooner than a second transaction is committed. */
const MIN_BYTES = 64 * 1024;
/** About what a statement costs beside its values. */
const STATEMENT_BYTES = 128;
/** Where one table has nearly all, the others' lanes would only wait for it. */
const MAX_SHARE = 0.9;

interface Group {
  readonly planned: Planned[];
  bytes: number;
}

/**
 * Shares of about equal size, those of one target table in one share and in order; the first is for the first lane. Null where all of it
 * goes through that alone: too little, too uneven, or the order between tables counts (TRUNCATE, triggers and foreign keys that fire).
 */
export function spread(planned: readonly Planned[], lanes: number): readonly (readonly Planned[])[] | null {
  if (lanes < 2 || planned.some(({ operation, table }) => operation === 'truncate' || table.fires))
    return null;
  const groups = byTarget(planned).toSorted((one, other) => other.bytes - one.bytes);
  const total = groups.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total < MIN_BYTES || (groups[0]?.bytes ?? 0) > total * MAX_SHARE) return null;
  const shares = Array.from({ length: Math.min(lanes, groups.length) }, (): Group => ({
    planned: [],
    bytes: 0,
  }));
  for (const group of groups) {
    const smallest = shares.reduce((one, other) => (other.bytes < one.bytes ? other : one));
    smallest.planned.push(...group.planned);
    smallest.bytes += group.bytes;
  }
  return shares.map((share) => share.planned);
}

function byTarget(planned: readonly Planned[]): Group[] {
  const groups = new Map<string, Group>();
  const known = new Map<TargetTable, Group>();
  for (const one of planned) {
    let group = known.get(one.table);
    if (!group) {
      const key = nameKey(one.table.name);
      group = groups.get(key) ?? { planned: [], bytes: 0 };
      groups.set(key, group);
      known.set(one.table, group);
    }
    group.planned.push(one);
    group.bytes += sizeOfStatement(one);
  }
  return [...groups.values()];
}

function sizeOfStatement({ values, copyData }: Planned): number {
  return values.reduce((sum, value) => sum + (value?.length ?? 0), STATEMENT_BYTES + (copyData?.length ?? 0));
}

/** The source tables that statements are about. */
export function sourcesOf(planned: readonly Planned[]): QualifiedName[] {
  const sources = new Map<string, QualifiedName>();
  for (const table of new Set(planned.map((one) => one.table)))
    sources.set(nameKey(table.source), table.source);
  return [...sources.values()];
}

/** Moves the accounts of these tables out. */
export function takeOut(accounts: Map<string, Account>, tables: readonly QualifiedName[]): Accounts {
  const taken = new Map<string, Account>();
  for (const shown of tables.map(displayName)) {
    const account = accounts.get(shown);
    if (account) taken.set(shown, account);
    accounts.delete(shown);
  }
  return taken;
}

/**
 * The account of one source table (data-plane I6): what became of each change received. Kept in memory since the last commit, added to
 * the stored account in the transaction that makes those changes durable.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { byteText } from '../../change/change.ts';
import type { Statement } from '../../pg/wire/pipeline.ts';
import type { Session } from '../../pg/session.ts';
import { arrayLiteral } from '../apply/sql/column-array.ts';

export interface Account {
  received: number;
  applied: number;
  /** Merged into a later change of the same row, or an update that sets nothing. */
  folded: number;
  filtered: number;
  /** Already in the unit's snapshot (I1). */
  invisible: number;
  /** Sent again after a restart, already applied (P10). */
  repeated: number;
  dead: number;
  inserts: number;
  updates: number;
  deletes: number;
}

const FIELDS = [
  'received',
  'applied',
  'folded',
  'filtered',
  'invisible',
  'repeated',
  'dead',
  'inserts',
  'updates',
  'deletes',
] as const;

export function emptyAccount(): Account {
  return {
    received: 0,
    applied: 0,
    folded: 0,
    filtered: 0,
    invisible: 0,
    repeated: 0,
    dead: 0,
    inserts: 0,
    updates: 0,
    deletes: 0,
  };
}

/** Throws LEDGER_BROKEN when a change is unaccounted for: nothing may commit then. */
export function assertBalanced(table: string, account: Account): void {
  const accounted =
    account.applied + account.folded + account.filtered + account.invisible + account.repeated + account.dead;
  if (accounted !== account.received)
    throw new AppError('LEDGER_BROKEN', { table, received: account.received, accounted });
}

const SUMS = FIELDS.map((field) => `${field} = a.${field} + EXCLUDED.${field}`).join(', ');

/** Adds the accounts to the stored ones. `first`: number of its first parameter, where it is part of another statement. */
export function accountSql(first = 1): string {
  const amounts = FIELDS.map((_, at) => `$${first + 2 + at}::bigint[]`).join(', ');
  return `INSERT INTO _opendts.account AS a (task_id, source_table, ${FIELDS.join(', ')})
          SELECT $${first}::text, u.* FROM unnest($${first + 1}::text[], ${amounts}) u
          ON CONFLICT (task_id, source_table) DO UPDATE SET ${SUMS}`;
}

const ALONE = accountSql();

/** Of `accountSql`; null when there is nothing to add. */
export function accountStatement(taskId: string, accounts: ReadonlyMap<string, Account>): Statement | null {
  if (accounts.size === 0) return null;
  for (const [table, account] of accounts) assertBalanced(table, account);
  const all = [...accounts.values()];
  return {
    sql: ALONE,
    values: [
      byteText(taskId),
      arrayLiteral([...accounts.keys()].map(byteText)),
      ...FIELDS.map((field) => byteText(`{${all.map((account) => account[field]).join()}}`)),
    ],
  };
}

export interface StoredAccount {
  readonly table: string;
  readonly applied: bigint;
  readonly folded: bigint;
  readonly received: bigint;
  readonly inserts: bigint;
  readonly updates: bigint;
  readonly deletes: bigint;
}

export async function readAccounts(session: Session, taskId: string): Promise<StoredAccount[]> {
  const rows = await session.query(
    'SELECT source_table, applied, folded, received, inserts, updates, deletes FROM _opendts.account WHERE task_id = $1',
    [taskId],
  );
  return rows.map((row) => ({
    table: row.source_table ?? '',
    applied: BigInt(row.applied ?? '0'),
    folded: BigInt(row.folded ?? '0'),
    received: BigInt(row.received ?? '0'),
    inserts: BigInt(row.inserts ?? '0'),
    updates: BigInt(row.updates ?? '0'),
    deletes: BigInt(row.deletes ?? '0'),
  }));
}

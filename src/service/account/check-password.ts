/** Is this the password of that account? Attempts are counted by account and by address, for all nodes together. */
import { AppError } from '../../base/errors/app-error.ts';
import type { Account } from '../store/account/account-row.ts';
import { countAttempt } from '../store/account/count-attempt.ts';
import { findPassword } from '../store/account/find-password.ts';
import { forgiveAttempts } from '../store/account/forgive-attempts.ts';
import type { Db } from '../store/store.ts';
import { isPassword } from './password.ts';

const WINDOW_SECONDS = 15 * 60;
const LIMITS = { account: 10, address: 100 };

export interface Attempt {
  readonly name: string;
  readonly password: string;
  readonly address: string;
}

/** Not inside of a transaction: a count must stay when the attempt fails. Throws LOGIN_BLOCKED or LOGIN_FAILED. */
export async function checkPassword(db: Db, { name, password, address }: Attempt): Promise<Account> {
  const account = `account ${name.toLowerCase()}`;
  await admit(db, account, LIMITS.account);
  await admit(db, `address ${address}`, LIMITS.address);
  const found = await findPassword(db, name);
  const isRight = await isPassword(password, found?.passwordHash ?? null);
  if (!found || !isRight || found.isDisabled) throw new AppError('LOGIN_FAILED');
  // Not the address: who has one account could go on guessing at others.
  await forgiveAttempts(db, account);
  const { passwordHash: _, ...shown } = found;
  return shown;
}

async function admit(db: Db, subject: string, limit: number): Promise<void> {
  const { count, secondsSinceFirst } = await countAttempt(db, subject, WINDOW_SECONDS);
  if (count > limit)
    throw new AppError('LOGIN_BLOCKED', { seconds: Math.max(1, WINDOW_SECONDS - secondsSinceFirst) });
}

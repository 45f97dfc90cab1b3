/** Is this the password of that account? Attempts are counted by account and by address, for all nodes together. */
import { isIPv6 } from 'node:net';
import { AppError } from '../../base/errors/app-error.ts';
import type { Account } from '../store/account/account-row.ts';
import { countAttempt } from '../store/account/count-attempt.ts';
import { findPassword } from '../store/account/find-password.ts';
import { forgiveAttempts } from '../store/account/forgive-attempts.ts';
import type { Db } from '../store/store.ts';
import { isPassword } from './password.ts';

const WINDOW_SECONDS = 15 * 60;
/**
 * Of one account from one network, of one account from wherever, and of one network on whatever accounts. The first is the small one: who
 * guesses from elsewhere must not lock its owner out.
 */
const LIMITS = { here: 10, account: 100, address: 100 };

export interface Attempt {
  readonly name: string;
  readonly password: string;
  readonly address: string;
}

/** Not inside of a transaction: a count must stay when the attempt fails. Throws LOGIN_BLOCKED or LOGIN_FAILED. */
export async function checkPassword(db: Db, { name, password, address }: Attempt): Promise<Account> {
  const account = accountSubject(name);
  const network = networkOf(address);
  const here = `${account}\n${network}`;
  // First of all: whoever is beyond this limit fills the store with no more names, and counts against no account.
  await admit(db, `address ${network}`, LIMITS.address);
  await admit(db, here, LIMITS.here);
  await admit(db, account, LIMITS.account);
  const found = await findPassword(db, name);
  const isRight = await isPassword(password, found?.passwordHash ?? null);
  if (!found || !isRight || found.isDisabled) throw new AppError('LOGIN_FAILED');
  // Nothing else: who has one account could go on guessing at others, and others at this one.
  await forgiveAttempts(db, here);
  const { passwordHash: _, ...shown } = found;
  return shown;
}

/** What attempts on an account are counted under; those from one network behind it. */
export function accountSubject(name: string): string {
  return `account ${name.toLowerCase()}`;
}

async function admit(db: Db, subject: string, limit: number): Promise<void> {
  const { count, secondsSinceFirst } = await countAttempt(db, subject, WINDOW_SECONDS);
  if (count > limit)
    throw new AppError('LOGIN_BLOCKED', { seconds: Math.max(1, WINDOW_SECONDS - secondsSinceFirst) });
}

/** Who has an IPv6 address has 2^64 of them: the network counts. Pure. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const [front, back] = [head, tail ?? ''].map((half) => half.split(':').filter(Boolean));
  const zeros =
    tail === undefined ? [] : Array<string>(8 - (front?.length ?? 0) - (back?.length ?? 0)).fill('0');
  const groups = [...(front ?? []), ...zeros, ...(back ?? [])];
  return `${groups
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

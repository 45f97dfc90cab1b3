/** Somebody gets in again who has lost the password: a new one to be changed, and nobody stays logged in with the old one. */
import type { Account } from '../store/account/account-row.ts';
import { deleteSessionsOf } from '../store/account/session/delete-sessions-of.ts';
import { forgiveAttempts } from '../store/account/forgive-attempts.ts';
import { setPassword } from '../store/account/set-password.ts';
import type { Db } from '../store/store.ts';
import { accountSubject } from './check-password.ts';
import { hashPassword } from './password.ts';
import { oneTimePassword } from './tokens.ts';

/** In a transaction. Gives the one-time password. */
export async function resetPassword(db: Db, { id, name }: Account): Promise<string> {
  const password = oneTimePassword();
  await setPassword(db, { accountId: id, hash: await hashPassword(password), mustChange: true });
  await deleteSessionsOf(db, id);
  await forgiveAttempts(db, accountSubject(name));
  return password;
}

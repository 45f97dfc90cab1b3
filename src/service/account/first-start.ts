/** An empty store gets somebody who can log in, and a group to begin with. */
import { randomUUID } from 'node:crypto';
import { insertAccount } from '../store/account/insert-account.ts';
import { insertGroup } from '../store/account/group/insert-group.ts';
import { listAccounts } from '../store/account/list-accounts.ts';
import type { Store } from '../store/store.ts';
import { hashPassword } from './password.ts';
import { oneTimePassword } from './tokens.ts';

const ADMINISTRATOR = 'admin';
const GROUP = 'default';

/** The name and one-time password of the account that was made; null when there are accounts already. Of several nodes at once one makes it. */
export async function makeFirstAccount(store: Store): Promise<{ name: string; password: string } | null> {
  const [any] = await listAccounts(store, { after: null, limit: 1 });
  if (any) return null;
  const password = oneTimePassword();
  const passwordHash = await hashPassword(password);
  const made = await store.transaction(async (db) => {
    const account = { id: randomUUID(), name: ADMINISTRATOR, passwordHash, isAdministrator: true };
    if ((await insertAccount(db, account)) === null) return false;
    await insertGroup(db, randomUUID(), GROUP);
    return true;
  });
  return made ? { name: ADMINISTRATOR, password } : null;
}

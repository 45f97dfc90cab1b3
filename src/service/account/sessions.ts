/** Sessions of people and tokens of programs: who is behind a request. */
import type { Account } from '../store/account/account-row.ts';
import { findToken } from '../store/account/token/find-token.ts';
import { insertSession } from '../store/account/session/insert-session.ts';
import { useSession } from '../store/account/session/use-session.ts';
import type { Db } from '../store/store.ts';
import { hashOf, isApiToken, newToken } from './tokens.ts';

/** A session ends when nothing was asked for so long, and at the latest after a week. */
const IDLE_SECONDS = 12 * 3600;
export const LONGEST_SECONDS = 7 * 24 * 3600;

export type Credentials = { readonly kind: 'session' | 'token'; readonly token: string };

/** Gives the token of the new session. */
export async function startSession(db: Db, accountId: string): Promise<string> {
  const token = newToken();
  await insertSession(db, { tokenHash: hashOf(token), accountId, idleSeconds: IDLE_SECONDS });
  return token;
}

/** Null when the credentials are not, or no longer, good for anything. */
export async function whoIs(db: Db, { kind, token }: Credentials): Promise<Account | null> {
  if (kind === 'token') return isApiToken(token) ? findToken(db, hashOf(token)) : null;
  return useSession(db, {
    tokenHash: hashOf(token),
    idleSeconds: IDLE_SECONDS,
    longestSeconds: LONGEST_SECONDS,
  });
}

/** What the operations on sessions, tokens and accounts do. */
import { randomUUID } from 'node:crypto';
import { AppError } from '../../base/errors/app-error.ts';
import type { ACCOUNT_OPERATIONS } from '../../contract/api/account-operations.ts';
import { checkPassword } from '../account/check-password.ts';
import { hashPassword } from '../account/password.ts';
import { resetPassword } from '../account/reset-password.ts';
import { startSession } from '../account/sessions.ts';
import { csrfTokenOf, hashOf, newApiToken, oneTimePassword } from '../account/tokens.ts';
import type { Account } from '../store/account/account-row.ts';
import { countAdministrators } from '../store/account/count-administrators.ts';
import { deleteSession } from '../store/account/session/delete-session.ts';
import { deleteSessionsOf } from '../store/account/session/delete-sessions-of.ts';
import { findAccount } from '../store/account/find-account.ts';
import { insertAccount } from '../store/account/insert-account.ts';
import { insertToken } from '../store/account/token/insert-token.ts';
import { listAccounts } from '../store/account/list-accounts.ts';
import { listTokens } from '../store/account/token/list-tokens.ts';
import { revokeToken } from '../store/account/token/revoke-token.ts';
import { revokeTokensOf } from '../store/account/token/revoke-tokens-of.ts';
import { setPassword } from '../store/account/set-password.ts';
import { updateAccount } from '../store/account/update-account.ts';
import type { Db } from '../store/store.ts';
import { callerOf, type Handlers } from './context.ts';
import { listPage } from './pages.ts';

export const ACCOUNT_HANDLERS: Handlers<keyof typeof ACCOUNT_OPERATIONS> = {
  'session.create': async (context, { name, password }) => {
    const { db, request } = context;
    const account = await checkPassword(db, { name, password, address: request.address });
    context.trace.objectId = account.id;
    context.session = await startSession(db, account.id);
    return { account, csrfToken: csrfTokenOf(context.session) };
  },

  'session.show': async (context) => {
    const { credentials } = context.request;
    const csrfToken = credentials?.kind === 'session' ? csrfTokenOf(credentials.token) : null;
    return { account: callerOf(context), csrfToken };
  },

  'session.delete': async ({ db, request }) => {
    if (request.credentials?.kind === 'session') await deleteSession(db, hashOf(request.credentials.token));
    return {};
  },

  'password.change': async (context, { current, password }) => {
    const { id, name } = callerOf(context);
    Object.assign(context.trace, { objectId: id, objectName: name });
    await checkPassword(context.db, { name, password: current, address: context.request.address });
    if (current === password) throw new AppError('PASSWORD_SAME');
    const hash = await hashPassword(password);
    await context.services.store.transaction(async (db) => {
      await setPassword(db, { accountId: id, hash, mustChange: false });
      await deleteSessionsOf(db, id);
      if (context.request.credentials?.kind === 'session') context.session = await startSession(db, id);
    });
    return {};
  },

  'token.create': async (context, { name, days }) => {
    const { token, prefix } = newApiToken();
    const accountId = callerOf(context).id;
    const made = await insertToken(context.db, {
      id: randomUUID(),
      accountId,
      name,
      prefix,
      hash: hashOf(token),
      days,
    });
    if (made === null) throw new AppError('NAME_TAKEN', { kind: 'token', name });
    Object.assign(context.trace, { objectId: made.id, objectName: name, after: made });
    return { ...made, token };
  },

  'token.list': async (context) => ({ items: await listTokens(context.db, callerOf(context).id) }),

  'token.revoke': async (context, { token }) => {
    const revoked = await revokeToken(context.db, callerOf(context).id, token);
    if (revoked === null) throw new AppError('NOT_FOUND', { kind: 'token', name: token });
    Object.assign(context.trace, { objectId: revoked.id, objectName: revoked.name });
    return revoked;
  },

  'account.create': async ({ db, trace }, { name, isAdministrator }) => {
    const password = oneTimePassword();
    const passwordHash = await hashPassword(password);
    const made = await insertAccount(db, { id: randomUUID(), name, passwordHash, isAdministrator });
    if (made === null) throw new AppError('NAME_TAKEN', { kind: 'account', name });
    Object.assign(trace, { objectId: made.id, objectName: name, after: made });
    return { ...made, oneTimePassword: password };
  },

  'account.list': ({ db }, input) =>
    listPage(input, (page) => listAccounts(db, page), {
      key: ({ name }) => name,
      show: (account) => account,
    }),

  'account.update': async ({ db, trace }, input) => {
    const before = await requireAccount(db, input.account);
    Object.assign(trace, { objectId: before.id, objectName: before.name, before });
    const { isDisabled = before.isDisabled, isAdministrator = before.isAdministrator, version } = input;
    const changed = await updateAccount(db, { id: before.id, version, isDisabled, isAdministrator });
    if (changed === null)
      throw new AppError('CHANGED_MEANWHILE', { kind: 'account', name: before.name, version });
    if (isDisabled) {
      await deleteSessionsOf(db, before.id);
      // Whoever has one of them must not be back when the account is.
      await revokeTokensOf(db, before.id);
    }
    if ((await countAdministrators(db)) === 0) throw new AppError('LAST_ADMINISTRATOR');
    trace.after = changed;
    return changed;
  },

  'account.resetPassword': async ({ db, trace }, input) => {
    const account = await requireAccount(db, input.account);
    Object.assign(trace, { objectId: account.id, objectName: account.name });
    return { oneTimePassword: await resetPassword(db, account) };
  },
};

/** Throws NOT_FOUND. */
export async function requireAccount(db: Db, idOrName: string): Promise<Account> {
  const found = await findAccount(db, idOrName);
  if (found === null) throw new AppError('NOT_FOUND', { kind: 'account', name: idOrName });
  return found;
}

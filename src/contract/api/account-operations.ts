/** Operations on sessions, tokens and accounts. */
import { z } from 'zod';
import { id, idOrName, listOf, name, page, password, time, version } from './fields.ts';
import type { Operation } from './operation.ts';

const account = z.object({
  id,
  name: z.string(),
  isAdministrator: z.boolean().describe('Of the installation: accounts, groups, the whole audit log'),
  isDisabled: z.boolean(),
  mustChangePassword: z.boolean(),
  version,
  createdAt: time,
});

const session = z.object({
  account,
  csrfToken: z.string().nullable().describe('For X-CSRF-Token, with the session cookie; null with a token'),
});

const token = z.object({
  id,
  name: z.string(),
  prefix: z.string(),
  createdAt: time,
  expiresAt: time,
  revokedAt: time.nullable(),
});

const oneTimePassword = z.string().describe('Shown once; to be changed at the first login');

export const ACCOUNT_OPERATIONS = {
  'session.create': {
    summary: 'Log in',
    method: 'POST',
    path: '/session',
    access: 'anyone',
    input: z.strictObject({ name: z.string().min(1).max(100), password: z.string().min(1).max(200) }),
    output: session,
  },
  'session.show': {
    summary: 'Who is logged in',
    method: 'GET',
    path: '/session',
    access: 'self',
    input: z.strictObject({}),
    output: session,
    withOneTimePassword: true,
  },
  'session.delete': {
    summary: 'Log out',
    method: 'DELETE',
    path: '/session',
    access: 'self',
    input: z.strictObject({}),
    output: z.object({}),
    withOneTimePassword: true,
  },
  'password.change': {
    summary: 'Change your password; your other sessions end',
    method: 'PUT',
    path: '/password',
    access: 'self',
    input: z.strictObject({ current: z.string().min(1).max(200), password }),
    output: z.object({}),
    withOneTimePassword: true,
  },
  'token.create': {
    summary: 'Make an API token that acts as you',
    method: 'POST',
    path: '/tokens',
    access: 'self',
    input: z.strictObject({ name, days: z.int().min(1).max(366).default(90) }),
    output: token.extend({ token: z.string().describe('Shown once') }),
    creates: 'once',
  },
  'token.list': {
    summary: 'List your API tokens',
    method: 'GET',
    path: '/tokens',
    access: 'self',
    input: z.strictObject({}),
    output: z.object({ items: z.array(token) }),
  },
  'token.revoke': {
    summary: 'Revoke an API token',
    method: 'DELETE',
    path: '/tokens/{token}',
    access: 'self',
    input: z.strictObject({ token: idOrName }),
    output: token,
  },
  'account.create': {
    summary: 'Make an account',
    method: 'POST',
    path: '/accounts',
    access: 'administrator',
    input: z.strictObject({ name, isAdministrator: z.boolean().default(false) }),
    output: account.extend({ oneTimePassword }),
    creates: 'once',
  },
  'account.list': {
    summary: 'List accounts',
    method: 'GET',
    path: '/accounts',
    access: 'administrator',
    input: z.strictObject(page),
    output: listOf(account),
  },
  'account.update': {
    summary:
      'Disable or enable an account, or change whether it administers; of a disabled one sessions end and tokens are revoked',
    method: 'PATCH',
    path: '/accounts/{account}',
    access: 'administrator',
    input: z.strictObject({
      account: idOrName,
      version,
      isDisabled: z.boolean().optional(),
      isAdministrator: z.boolean().optional(),
    }),
    output: account,
  },
  'account.resetPassword': {
    summary: 'Give an account a one-time password; its sessions end',
    method: 'POST',
    path: '/accounts/{account}/password',
    access: 'administrator',
    input: z.strictObject({ account: idOrName }),
    output: z.object({ oneTimePassword }),
  },
} as const satisfies Record<string, Operation>;

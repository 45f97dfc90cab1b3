/** Operations on resource groups, their members, and the audit log. */
import { z } from 'zod';
import { id, idOrName, listOf, moment, name, page, time } from './fields.ts';
import type { Operation } from './operation.ts';
import { CONNECTION_RIGHTS, ROLES } from './roles.ts';

const group = z.object({ id, name: z.string(), createdAt: time });

const member = z.object({
  accountId: id,
  account: z.string(),
  role: z.enum(ROLES),
  rights: z.array(z.enum(CONNECTION_RIGHTS)).describe('Beyond those of the role'),
});

const auditEntry = z.object({
  id: z.string(),
  at: time,
  account: z.string().nullable(),
  via: z.string(),
  address: z.string(),
  requestId: z.string(),
  operation: z.string(),
  group: z.string().nullable(),
  objectId: z.string().nullable(),
  object: z.string().nullable(),
  outcome: z.enum(['done', 'failed']),
  errorCode: z.string().nullable(),
  before: z.unknown(),
  after: z.unknown(),
});

const period = {
  from: moment.optional().describe('Not before this time, or day in UTC'),
  to: moment.optional().describe('Before this time, or day in UTC'),
};

export const GROUP_OPERATIONS = {
  'group.create': {
    summary: 'Make a resource group',
    method: 'POST',
    path: '/groups',
    access: 'administrator',
    input: z.strictObject({ name }),
    output: group,
    creates: 'repeatable',
  },
  'group.list': {
    summary: 'List the resource groups that you belong to; all of them for who administers the installation',
    method: 'GET',
    path: '/groups',
    access: 'self',
    input: z.strictObject(page),
    output: listOf(group),
  },
  'member.list': {
    summary: 'List the members of a group',
    method: 'GET',
    path: '/groups/{group}/members',
    access: 'view',
    input: z.strictObject({ group: idOrName, ...page }),
    output: listOf(member),
  },
  'member.put': {
    summary: 'Let an account into a group, or give it another role there',
    method: 'PUT',
    path: '/groups/{group}/members/{account}',
    access: 'administer',
    input: z.strictObject({
      group: idOrName,
      account: idOrName,
      role: z.enum(ROLES),
      rights: z.array(z.enum(CONNECTION_RIGHTS)).max(CONNECTION_RIGHTS.length).default([]),
    }),
    output: member,
  },
  'member.delete': {
    summary: 'Put an account out of a group',
    method: 'DELETE',
    path: '/groups/{group}/members/{account}',
    access: 'administer',
    input: z.strictObject({ group: idOrName, account: idOrName }),
    output: z.object({}),
  },
  'audit.list': {
    summary: 'Who did what, the newest first',
    method: 'GET',
    path: '/audit',
    access: 'administrator',
    input: z.strictObject({ ...period, ...page }),
    output: listOf(auditEntry),
  },
  'audit.listGroup': {
    summary: 'Who did what in a group, the newest first',
    method: 'GET',
    path: '/groups/{group}/audit',
    access: 'administer',
    input: z.strictObject({ group: idOrName, ...period, ...page }),
    output: listOf(auditEntry),
  },
} as const satisfies Record<string, Operation>;

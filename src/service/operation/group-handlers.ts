/** What the operations on groups, members and the audit log do. */
import { randomUUID } from 'node:crypto';
import { AppError } from '../../base/errors/app-error.ts';
import type { GROUP_OPERATIONS } from '../../contract/api/group-operations.ts';
import type { Input } from '../../contract/api/operations.ts';
import { deleteMember } from '../store/account/group/delete-member.ts';
import { findMember } from '../store/account/group/find-member.ts';
import { insertGroup } from '../store/account/group/insert-group.ts';
import { listGroups } from '../store/account/group/list-groups.ts';
import { listMembers } from '../store/account/group/list-members.ts';
import { putMember } from '../store/account/group/put-member.ts';
import { listAudit } from '../store/audit/list-audit.ts';
import { requireAccount } from './account-handlers.ts';
import { callerOf, groupOf, type Context, type Handlers } from './context.ts';
import { isNumber, listPage } from './pages.ts';

export const GROUP_HANDLERS: Handlers<keyof typeof GROUP_OPERATIONS> = {
  'group.create': async ({ db, trace }, { name }) => {
    const made = await insertGroup(db, randomUUID(), name);
    if (made === null) throw new AppError('NAME_TAKEN', { kind: 'group', name });
    Object.assign(trace, { objectId: made.id, objectName: name });
    return made;
  },

  'group.list': (context, input) => {
    const { id, isAdministrator } = callerOf(context);
    return listPage(input, (page) => listGroups(context.db, isAdministrator ? null : id, page), {
      key: ({ name }) => name,
      show: (group) => group,
    });
  },

  'member.list': (context, input) =>
    listPage(input, (page) => listMembers(context.db, groupOf(context).id, page), {
      key: ({ account }) => account,
      show: (member) => member,
    }),

  'member.put': async (context, { account, role, rights }) => {
    const { db, trace } = context;
    const { id, name } = await requireAccount(db, account);
    const groupId = groupOf(context).id;
    const before = await findMember(db, groupId, id);
    const after = { role, rights: [...new Set(rights)] };
    await putMember(db, { groupId, accountId: id, ...after });
    Object.assign(trace, { objectId: id, objectName: name, before: before ?? undefined, after });
    return { accountId: id, account: name, ...after };
  },

  'member.delete': async (context, { account }) => {
    const { db, trace } = context;
    const { id, name } = await requireAccount(db, account);
    const groupId = groupOf(context).id;
    const before = await findMember(db, groupId, id);
    if (before === null) throw new AppError('NOT_FOUND', { kind: 'member', name: account });
    await deleteMember(db, groupId, id);
    Object.assign(trace, { objectId: id, objectName: name, before });
    return {};
  },

  'audit.list': (context, input) => listEntries(context, input, null),

  'audit.listGroup': (context, input) => listEntries(context, input, groupOf(context).id),
};

function listEntries({ db }: Context, input: Input<'audit.list'>, groupId: string | null) {
  const { from = null, to = null } = input;
  return listPage(input, (page) => listAudit(db, { groupId, from, to }, page), {
    key: ({ id }) => id,
    show: (row) => row,
    like: isNumber,
  });
}

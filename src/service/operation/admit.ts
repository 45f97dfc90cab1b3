/** May this be done? The input is checked, the group of the path found, and the caller's right in it asked for. */
import type { z } from 'zod';
import { AppError } from '../../base/errors/app-error.ts';
import { pathFields, type Operation } from '../../contract/api/operation.ts';
import { OPERATIONS } from '../../contract/api/operations.ts';
import { isAllowed } from '../account/permissions.ts';
import { findGroup } from '../store/account/group/find-group.ts';
import { findMember } from '../store/account/group/find-member.ts';
import type { Group } from '../store/account/group/group-row.ts';
import type { Member } from '../store/account/group/member-row.ts';
import type { Db } from '../store/store.ts';
import { callerOf } from './context.ts';
import type { Subject } from './subject.ts';

/** The input as the operation takes it. Throws NOT_LOGGED_IN, PASSWORD_CHANGE_NEEDED, INPUT_INVALID, NOT_FOUND or FORBIDDEN. */
export async function admit(db: Db, subject: Subject, raw: unknown): Promise<Record<string, unknown>> {
  const operation: Operation = OPERATIONS[subject.name];
  if (operation.access !== 'anyone' && callerOf(subject).mustChangePassword && !operation.withOneTimePassword)
    throw new AppError('PASSWORD_CHANGE_NEEDED');
  const input = parse(operation.input, raw);
  const inGroup = pathFields(operation.path).includes('group');
  const place = inGroup ? await findPlace(db, subject, String(input.group)) : null;
  subject.group = place?.group ?? null;
  const { caller } = subject;
  const isAdministrator = caller?.isAdministrator ?? false;
  const membership = place?.member ?? null;
  if (!isAllowed(subject.name, { isLoggedIn: caller !== null, isAdministrator, membership }))
    throw forbidden(operation, subject.group);
  return input;
}

/** The group, and what the caller is in it. Throws NOT_FOUND, also for a group that the caller does not belong to. */
async function findPlace(
  db: Db,
  { caller }: Subject,
  wanted: string,
): Promise<{ group: Group; member: Member | null }> {
  const group = await findGroup(db, wanted);
  const member = group && caller && (await findMember(db, group.id, caller.id));
  if (group === null || (member === null && !caller?.isAdministrator))
    throw new AppError('NOT_FOUND', { kind: 'group', name: wanted });
  return { group, member };
}

function forbidden({ access }: Operation, group: Group | null): AppError {
  if (group === null)
    return new AppError('FORBIDDEN', { right: 'an account that administers opendts', whom: 'who has one' });
  const right = `the right "${access}" in group "${group.name}"`;
  return new AppError('FORBIDDEN', { right, whom: `an admin of group "${group.name}"` });
}

/** Throws INPUT_INVALID, which names fields and never quotes what was in them. */
function parse(schema: z.ZodObject, raw: unknown): Record<string, unknown> {
  const parsed = schema.safeParse(raw);
  if (parsed.success && isStorable(parsed.data)) return parsed.data;
  if (parsed.success) throw new AppError('INPUT_INVALID', { problem: 'A text holds what is no character' });
  const problem = parsed.error.issues
    .slice(0, 5)
    .map(({ path, message }) => (path.length > 0 ? `${path.map(String).join('.')}: ${message}` : message))
    .join('; ');
  throw new AppError('INPUT_INVALID', { problem });
}

/** PostgreSQL keeps no NUL, and no half of a character that takes two. Of what has been parsed, whose depth is known. */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).flat().every(isStorable);
}

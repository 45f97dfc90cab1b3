/**
 * Carries out an operation of the contract, however it was asked for:
 *   1. who asks       session or token
 *   2. what is asked  the input is checked
 *   3. may they       the group of the path, and the right that the operation needs there
 *   4. do it          in a transaction, together with its entry in the audit log and the answer kept for a repeated request
 * What changes something and fails, and what is refused, is in the audit log as well. Who does not belong to a group does not learn
 * whether there is one.
 */
import type { z } from 'zod';
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import { pathFields, type Operation } from '../../contract/api/operation.ts';
import { OPERATIONS, type OperationName } from '../../contract/api/operations.ts';
import { isAllowed, type Standing } from '../account/permissions.ts';
import { whoIs } from '../account/sessions.ts';
import type { Account } from '../store/account/account-row.ts';
import { findGroup } from '../store/account/find-group.ts';
import { findMember } from '../store/account/find-member.ts';
import type { Group } from '../store/account/group-row.ts';
import { insertAudit } from '../store/audit/insert-audit.ts';
import type { Db } from '../store/store.ts';
import { ACCOUNT_HANDLERS } from './account-handlers.ts';
import { CONNECTION_HANDLERS } from './connection-handlers.ts';
import { callerOf, type Context, type Handlers, type Request, type Services, type Trace } from './context.ts';
import { GROUP_HANDLERS } from './group-handlers.ts';
import { onceOnly } from './once-only.ts';

const HANDLERS: Handlers = { ...ACCOUNT_HANDLERS, ...GROUP_HANDLERS, ...CONNECTION_HANDLERS };

/** They count attempts, or wait for other servers: no transaction stays open meanwhile. */
const OUTSIDE: ReadonlySet<OperationName> = new Set(['session.create', 'password.change', 'connection.test']);

export interface Reply {
  readonly body: unknown;
  /** The token of a session that has begun. */
  readonly session: string | null;
}

/** Throws errors of the table. */
export async function runOperation(
  name: OperationName,
  raw: unknown,
  request: Request,
  services: Services,
): Promise<Reply> {
  const operation: Operation = OPERATIONS[name];
  const { store } = services;
  const caller = request.credentials && (await whoIs(store, request.credentials));
  const trace: Trace = {};
  let group: Group | null = null;
  const audit = (db: Db, error: AppError | null) =>
    record(db, { name, caller, group, request, trace }, error);
  try {
    if (operation.access !== 'anyone') {
      const { mustChangePassword } = callerOf({ caller });
      if (mustChangePassword && !operation.withOneTimePassword) throw new AppError('PASSWORD_CHANGE_NEEDED');
    }
    const input = parse(operation.input, raw);
    const place = await placeOf(store, { name, input, caller });
    group = place.group;
    requireAllowed(name, caller, place);
    const run = async (db: Db): Promise<Reply> => {
      const context: Context = { db, services, request, caller, group, trace, session: null };
      // The table pairs each name with the handler of its input.
      const handler = HANDLERS[name] as (context: Context, input: unknown) => Promise<unknown>;
      const work = async () => operation.output.parse(await handler(context, input));
      const body =
        operation.creates === 'repeatable' ? await onceOnly(context, { name, input, work }) : await work();
      return { body, session: context.session };
    };
    if (operation.method === 'GET') return await run(store);
    if (OUTSIDE.has(name)) {
      const reply = await run(store);
      await audit(store, null);
      return reply;
    }
    return await store.transaction(async (db) => {
      const reply = await run(db);
      await audit(db, null);
      return reply;
    });
  } catch (thrown) {
    const error = toAppError(thrown);
    // A store that is away cannot take the entry either; floods of attempts are counted elsewhere.
    const isNoted =
      (caller !== null || name === 'session.create') &&
      (operation.method !== 'GET' || error.code === 'FORBIDDEN');
    if (isNoted && error.code !== 'STORE_UNAVAILABLE' && error.code !== 'LOGIN_BLOCKED')
      await audit(store, error);
    throw error;
  }
}

/** Where the operation is to be done, and what the caller is there. */
interface Place {
  readonly group: Group | null;
  readonly membership: Standing['membership'];
}

/** The group of the path. Throws NOT_FOUND, also for a group that the caller does not belong to. */
async function placeOf(
  db: Db,
  {
    name,
    input,
    caller,
  }: { name: OperationName; input: Readonly<Record<string, unknown>>; caller: Account | null },
): Promise<Place> {
  if (!pathFields(OPERATIONS[name].path).includes('group')) return { group: null, membership: null };
  const wanted = String(input.group);
  const group = await findGroup(db, wanted);
  const membership = group && caller && (await findMember(db, group.id, caller.id));
  if (group === null || (membership === null && !caller?.isAdministrator))
    throw new AppError('NOT_FOUND', { kind: 'group', name: wanted });
  return { group, membership };
}

/** Throws FORBIDDEN. */
function requireAllowed(name: OperationName, caller: Account | null, { group, membership }: Place): void {
  const isAdministrator = caller?.isAdministrator ?? false;
  if (isAllowed(name, { isLoggedIn: caller !== null, isAdministrator, membership })) return;
  if (group === null)
    throw new AppError('FORBIDDEN', { right: 'an account that administers opendts', whom: 'who has one' });
  const right = `the right "${OPERATIONS[name].access}" in group "${group.name}"`;
  throw new AppError('FORBIDDEN', { right, whom: `an admin of group "${group.name}"` });
}

/** Throws INPUT_INVALID, which names fields and never quotes what was in them. */
function parse(schema: z.ZodObject, raw: unknown): Record<string, unknown> {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const problem = parsed.error.issues
    .slice(0, 5)
    .map(({ path, message }) => (path.length > 0 ? `${path.map(String).join('.')}: ${message}` : message))
    .join('; ');
  throw new AppError('INPUT_INVALID', { problem });
}

interface Subject {
  readonly name: OperationName;
  readonly caller: Account | null;
  readonly group: Group | null;
  readonly request: Request;
  readonly trace: Trace;
}

async function record(
  db: Db,
  { name, caller, group, request, trace }: Subject,
  error: AppError | null,
): Promise<void> {
  await insertAudit(db, {
    accountId: caller?.id ?? null,
    accountName: caller?.name ?? null,
    via: request.credentials?.kind ?? 'none',
    address: request.address,
    requestId: request.requestId,
    operation: name,
    groupId: group?.id ?? null,
    groupName: group?.name ?? null,
    objectId: trace.objectId ?? null,
    objectName: trace.objectName ?? null,
    outcome: error === null ? 'done' : 'failed',
    errorCode: error?.code ?? null,
    before: trace.before,
    after: error === null ? trace.after : undefined,
  });
}

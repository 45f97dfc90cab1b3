/**
 * Carries out an operation of the contract, however it was asked for:
 *   1. who asks       session or token
 *   2. may they       the input is checked, then the right that the operation needs, in the group of its path (admit.ts)
 *   3. do it          in a transaction, together with its entry in the audit log and the answer kept for a repeated request
 * What changes something and fails, and what is refused, is in the audit log as well. Who does not belong to a group does not learn
 * whether there is one.
 */
import { toAppError } from '../../base/errors/app-error.ts';
import { currentSpan } from '../../base/tracing/span.ts';
import type { Operation } from '../../contract/api/operation.ts';
import { OPERATIONS, type OperationName } from '../../contract/api/operations.ts';
import { whoIs } from '../account/sessions.ts';
import type { Db } from '../store/store.ts';
import { ACCOUNT_HANDLERS } from './account-handlers.ts';
import { admit } from './admit.ts';
import { CONNECTION_HANDLERS } from './connection-handlers.ts';
import type { Context, Handlers, Request, Services } from './context.ts';
import { EVENT_HANDLERS } from './event-handlers.ts';
import { GROUP_HANDLERS } from './group-handlers.ts';
import { onceOnly } from './once-only.ts';
import { TASK_HANDLERS } from './task-handlers.ts';
import { TASK_LIFE_HANDLERS } from './task-life-handlers.ts';
import { WORKER_HANDLERS } from './worker-handlers.ts';
import { asNamed, isNoted, record, type Subject } from './subject.ts';

const HANDLERS: Handlers = {
  ...ACCOUNT_HANDLERS,
  ...GROUP_HANDLERS,
  ...CONNECTION_HANDLERS,
  ...EVENT_HANDLERS,
  ...TASK_HANDLERS,
  ...TASK_LIFE_HANDLERS,
  ...WORKER_HANDLERS,
};

/** They count attempts, or wait for other servers: no transaction stays open meanwhile. */
const OUTSIDE: ReadonlySet<OperationName> = new Set(['session.create', 'password.change', 'connection.test']);

export interface Reply {
  /** Of a stream, its events. */
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
  const { store } = services;
  const caller = request.credentials && (await whoIs(store, request.credentials));
  const subject: Subject = { name, request, caller, group: null, trace: {} };
  try {
    const input = await admit(store, subject, raw);
    Object.assign(subject.trace, asNamed(name, input));
    return await perform(subject, input, services);
  } catch (thrown) {
    const error = toAppError(thrown);
    if (isNoted(subject, error)) await record(store, subject, error);
    throw error;
  } finally {
    const { objectId } = subject.trace;
    if (name.startsWith('task.') && objectId !== undefined)
      currentSpan().set({ 'opendts.task.id': objectId });
  }
}

async function perform(subject: Subject, input: unknown, services: Services): Promise<Reply> {
  const { store } = services;
  if (OPERATIONS[subject.name].method === 'GET') return answer({ ...subject, db: store, services }, input);
  const recorded = async (db: Db): Promise<Reply> => {
    const reply = await answer({ ...subject, db, services }, input);
    await record(db, subject, null);
    return reply;
  };
  return OUTSIDE.has(subject.name) ? recorded(store) : store.transaction(recorded);
}

async function answer(given: Omit<Context, 'session'>, input: unknown): Promise<Reply> {
  const context: Context = { ...given, session: null };
  const { name } = context;
  const operation: Operation = OPERATIONS[name];
  // The table pairs each name with the handler of its input.
  const handler = HANDLERS[name] as (context: Context, input: unknown) => Promise<unknown>;
  if (operation.stream) return { body: await handler(context, input), session: null };
  const work = async () => operation.output.parse(await handler(context, input));
  const body = operation.creates === 'repeatable' ? await onceOnly(context, input, work) : await work();
  return { body, session: context.session };
}

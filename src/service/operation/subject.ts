/** An operation that is asked for: what is known of it on its way, and what the audit log says of it. */
import type { AppError } from '../../base/errors/app-error.ts';
import { pathFields } from '../../contract/api/operation.ts';
import { OPERATIONS, type OperationName } from '../../contract/api/operations.ts';
import { isApiToken } from '../account/tokens.ts';
import type { Account } from '../store/account/account-row.ts';
import type { Group } from '../store/account/group/group-row.ts';
import { insertAudit } from '../store/audit/insert-audit.ts';
import type { Db } from '../store/store.ts';
import type { Request, Trace } from './context.ts';

export interface Subject {
  readonly name: OperationName;
  readonly request: Request;
  readonly caller: Account | null;
  /** Known once the caller was found to belong to it. */
  group: Group | null;
  readonly trace: Trace;
}

/** What it is about in the words of whoever asks, until it is found: for what fails before. */
export function asNamed(name: OperationName, input: Readonly<Record<string, unknown>>): Trace {
  const [field = 'name'] = pathFields(OPERATIONS[name].path)
    .filter((one) => one !== 'group')
    .toReversed();
  const word = input[field];
  // Somebody may name a token by what it is.
  return typeof word === 'string' && !isApiToken(word) ? { objectName: word } : {};
}

/** Writes it into the audit log: as done, or why not. */
export async function record(db: Db, subject: Subject, error: AppError | null): Promise<void> {
  const { name, caller, group, request, trace } = subject;
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

/** Whether a failure goes into the audit log: of what changes something, and what was refused; not of strangers, who could fill it. */
export function isNoted({ name, caller }: Subject, { code }: AppError): boolean {
  // A store that is away cannot take the entry; attempts beyond the limit are counted elsewhere.
  if (code === 'STORE_UNAVAILABLE' || code === 'LOGIN_BLOCKED') return false;
  // A wrong password is counted against its address; a request that makes no sense costs nothing.
  const isKnown = caller !== null || (name === 'session.create' && code === 'LOGIN_FAILED');
  return isKnown && (OPERATIONS[name].method !== 'GET' || code === 'FORBIDDEN');
}

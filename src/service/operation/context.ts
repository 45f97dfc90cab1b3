/** What an operation is given beside its input, and what it tells beside its answer. */
import { AppError } from '../../base/errors/app-error.ts';
import type { Answer, Input, OperationName, OPERATIONS } from '../../contract/api/operations.ts';
import type { Credentials } from '../account/sessions.ts';
import type { ConnectionSettings } from '../connection/saved-connections.ts';
import type { LiveEvents } from '../events/live-events.ts';
import type { Account } from '../store/account/account-row.ts';
import type { Group } from '../store/account/group/group-row.ts';
import type { Db, Store } from '../store/store.ts';

/** What the operations of a node work with. */
export interface Services {
  readonly store: Store;
  readonly connections: ConnectionSettings;
  readonly events: LiveEvents;
}

/** Who asks, from where. */
export interface Request {
  readonly credentials: Credentials | null;
  readonly address: string;
  readonly requestId: string;
  readonly idempotencyKey: string | null;
  /** Of a stream: the last event that the caller has seen. */
  readonly lastEventId: string | null;
  /** The caller has gone. */
  readonly closed: AbortSignal;
}

/** For the audit log: what it was about, and what it was and became. Never a secret. */
export interface Trace {
  objectId?: string;
  objectName?: string;
  before?: unknown;
  after?: unknown;
}

export interface Context {
  readonly name: OperationName;
  /** A transaction, or the store itself where the operation waits for something else. */
  readonly db: Db;
  readonly services: Services;
  readonly request: Request;
  readonly caller: Account | null;
  readonly group: Group | null;
  readonly trace: Trace;
  /** The token of a session that begins. */
  session: string | null;
}

/** Of a stream, the events; null where there is nothing to say for a while. */
type Given<N extends OperationName> = (typeof OPERATIONS)[N] extends { readonly stream: true }
  ? AsyncIterable<{ readonly id: string | null; readonly event: Answer<N> } | null>
  : Answer<N>;
export type Handler<N extends OperationName> = (context: Context, input: Input<N>) => Promise<Given<N>>;
export type Handlers<N extends OperationName = OperationName> = { readonly [K in N]: Handler<K> };

/** Who is logged in. Throws NOT_LOGGED_IN. */
export function callerOf({ caller }: Pick<Context, 'caller'>): Account {
  if (caller === null) throw new AppError('NOT_LOGGED_IN');
  return caller;
}

/** The group of the path, in which the caller has the right that the operation needs. */
export function groupOf({ group }: Pick<Context, 'group'>): Group {
  if (group === null) throw new Error('the operation is in no group');
  return group;
}

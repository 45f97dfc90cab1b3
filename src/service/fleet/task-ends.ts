/** The two connections of a task, as they are saved and as they are reached. */
import { AppError } from '../../base/errors/app-error.ts';
import type { ConnInfo, Side } from '../../engine/pg/conninfo/conninfo.ts';
import { reachable } from '../connection/reach.ts';
import type { StoredConnection } from '../store/connection/connection-row.ts';
import { findConnection } from '../store/connection/find-connection.ts';
import { findTask } from '../store/task/find-task.ts';
import type { StoredTask, TaskFailure } from '../store/task/task-row.ts';
import type { OwnerParts } from './owner.ts';

export interface SavedEnds {
  readonly source: StoredConnection;
  readonly target: StoredConnection;
}

export interface ReachedEnds {
  readonly source: ConnInfo;
  readonly target: ConnInfo;
}

export type Reach = Pick<OwnerParts, 'store' | 'connections'>;

/** Throws NOT_FOUND. */
export async function savedEnds({ store }: Pick<OwnerParts, 'store'>, task: StoredTask): Promise<SavedEnds> {
  const find = async (side: Side, id: string | null) => {
    const found = id === null ? null : await findConnection(store, task.groupId, id);
    if (found === null)
      throw new AppError('NOT_FOUND', { kind: `${side} connection of task`, name: task.name });
    return found;
  };
  return {
    source: await find('source', task.sourceConnection),
    target: await find('target', task.targetConnection),
  };
}

/** Throws what reaching a connection throws. */
export async function reachEnds(parts: Reach, saved: SavedEnds): Promise<ReachedEnds> {
  return { source: await reachEnd(parts, saved, 'source'), target: await reachEnd(parts, saved, 'target') };
}

/** As `reachEnds`. */
export function reachEnd({ store, connections }: Reach, saved: SavedEnds, side: Side): Promise<ConnInfo> {
  return reachable(store, saved[side], connections, side);
}

/** Those of a task that another worker runs. Throws what these throw. */
export async function endsOf(parts: Reach, taskId: string): Promise<ReachedEnds> {
  const task = await findTask(parts.store, taskId);
  if (task === null) throw new AppError('NOT_FOUND', { kind: 'task', name: taskId });
  return reachEnds(parts, await savedEnds(parts, task));
}

/** Somebody has changed one of them. */
export function areOthers(before: SavedEnds, now: SavedEnds): boolean {
  return (['source', 'target'] as const).some(
    (side) => before[side].id !== now[side].id || before[side].version !== now[side].version,
  );
}

/** As the store keeps it: counts are text there. */
export function failureOf({ code, message, remedy, facts }: AppError): TaskFailure {
  const plain = Object.entries(facts).map(([name, value]) => [
    name,
    typeof value === 'bigint' ? String(value) : value,
  ]);
  return { code, message, remedy, facts: Object.fromEntries(plain) as TaskFailure['facts'] };
}

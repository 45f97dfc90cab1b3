/** What the operations that follow something do. */
import { AppError } from '../../base/errors/app-error.ts';
import type { EVENT_OPERATIONS } from '../../contract/api/event-operations.ts';
import { findTasksNamed } from '../store/task/find-tasks-named.ts';
import { groupOf, type Handlers } from './context.ts';

export const EVENT_HANDLERS: Handlers<keyof typeof EVENT_OPERATIONS> = {
  'event.follow': async (context, { task }) => {
    const { services, name, request } = context;
    const groupId = groupOf(context).id;
    // Whoever was let in has shown something.
    if (request.credentials === null) throw new AppError('NOT_LOGGED_IN');
    let taskId: string | null = null;
    if (task !== undefined) {
      const [found] = await findTasksNamed(context.db, groupId, { idOrName: task });
      if (found === undefined) throw new AppError('NOT_FOUND', { kind: 'task', name: task });
      taskId = found.id;
    }
    return services.events.follow({
      credentials: request.credentials,
      operation: name,
      groupId,
      taskId,
      lastId: request.lastEventId,
      closed: request.closed,
    });
  },
};

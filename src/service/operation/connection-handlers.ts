/** What the operations on connections do. */
import { AppError } from '../../base/errors/app-error.ts';
import type { CONNECTION_OPERATIONS } from '../../contract/api/connection-operations.ts';
import {
  changeConnection,
  createConnection,
  forgetConnection,
  requireConnection,
  shownConnection,
  type EditSettings,
} from '../connection/saved-connections.ts';
import { withSecret } from '../connection/reach.ts';
import { testConnection } from '../connection/test-connection.ts';
import type { StoredConnection } from '../store/connection/connection-row.ts';
import { listConnections } from '../store/connection/list-connections.ts';
import type { Db } from '../store/store.ts';
import { listUsersOfConnection } from '../store/task/list-users-of-connection.ts';
import { tellUsersOfConnection } from '../store/task/tell-users-of-connection.ts';
import { tryAgainNow } from '../store/task/owner/try-again-now.ts';
import { callerOf, groupOf, type Context, type Handlers } from './context.ts';
import { listPage } from './pages.ts';
import { doerOf } from './task-view.ts';

export const CONNECTION_HANDLERS: Handlers<keyof typeof CONNECTION_OPERATIONS> = {
  'connection.create': async (context, input) => {
    const made = await createConnection(context.db, groupOf(context).id, input, settingsOf(context));
    const shown = shownConnection(made);
    Object.assign(context.trace, { objectId: made.id, objectName: made.name, after: shown });
    return shown;
  },

  'connection.list': (context, input) =>
    listPage(input, (page) => listConnections(context.db, groupOf(context).id, page), {
      key: ({ name }) => name,
      show: shownConnection,
    }),

  'connection.show': async (context, input) => {
    const connection = await found(context, input.connection);
    const usedBy = await listUsersOfConnection(context.db, connection.id, 100);
    return { ...shownConnection(connection), usedBy };
  },

  'connection.update': async (context, input) => {
    const before = await found(context, input.connection);
    context.trace.before = shownConnection(before);
    const changed = await changeConnection(context.db, before, input, settingsOf(context));
    await tellUsersOfConnection(context.db, changed, doerOf(context));
    await tryAgainNow(context.db, before.id);
    const shown = shownConnection(changed);
    context.trace.after = shown;
    return shown;
  },

  'connection.delete': async (context, input) => {
    const before = await found(context, input.connection);
    context.trace.before = shownConnection(before);
    await requireUnused(context.db, before);
    await forgetConnection(context.db, before, input.version);
    return {};
  },

  'connection.test': async (context, input) => {
    const stored = await found(context, input.connection);
    const { connections } = context.services;
    const steps = await testConnection(await withSecret(context.db, stored, connections), connections.policy);
    const failed = steps.find(({ result }) => result === 'failed');
    context.trace.after = { passed: failed === undefined, errorCode: failed?.error?.code };
    return { passed: failed === undefined, steps };
  },
};

/** Throws CONNECTION_IN_USE. */
async function requireUnused(db: Db, { id, name }: StoredConnection): Promise<void> {
  const users = await listUsersOfConnection(db, id, 5);
  if (users.length === 0) return;
  const tasks = users.map((task) => `task "${task.name}" (${task.state})`).join(', ');
  throw new AppError('CONNECTION_IN_USE', { name, tasks });
}

function settingsOf(context: Context): EditSettings {
  return { ...context.services.connections, mayName: callerOf(context).isAdministrator };
}

async function found(context: Context, idOrName: string) {
  const connection = await requireConnection(context.db, groupOf(context).id, idOrName);
  Object.assign(context.trace, { objectId: connection.id, objectName: connection.name });
  return connection;
}

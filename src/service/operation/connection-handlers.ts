/** What the operations on connections do. */
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
import { listConnections } from '../store/connection/list-connections.ts';
import { callerOf, groupOf, type Context, type Handlers } from './context.ts';
import { listPage } from './pages.ts';

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

  'connection.show': async (context, input) => shownConnection(await found(context, input.connection)),

  'connection.update': async (context, input) => {
    const before = await found(context, input.connection);
    context.trace.before = shownConnection(before);
    const changed = await changeConnection(context.db, before, input, settingsOf(context));
    const shown = shownConnection(changed);
    context.trace.after = shown;
    return shown;
  },

  'connection.delete': async (context, input) => {
    const before = await found(context, input.connection);
    context.trace.before = shownConnection(before);
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

function settingsOf(context: Context): EditSettings {
  return { ...context.services.connections, mayName: callerOf(context).isAdministrator };
}

async function found(context: Context, idOrName: string) {
  const connection = await requireConnection(context.db, groupOf(context).id, idOrName);
  Object.assign(context.trace, { objectId: connection.id, objectName: connection.name });
  return connection;
}

/** `opendts export`: the connections and tasks of a server as a file that `opendts apply` takes. No password is in it. */
import { stringify } from 'yaml';
import { EXIT } from '../../base/errors/exit.ts';
import type { Answer } from '../../contract/api/operations.ts';
import { taskSettings, type TaskSettings } from '../../contract/task-spec.ts';
import { accessTo } from './api-client.ts';
import { allPages, call, type Ask } from './ask.ts';
import type { CliCommand } from './context.ts';
import { withJson } from './options/task-options.ts';
import { document } from './view/json.ts';

interface ExportFlags {
  readonly group: string;
  readonly json?: boolean;
}

export const exportCommand: CliCommand = {
  define(program) {
    const command = program
      .command('export')
      .description(
        'write the connections and tasks of a server as YAML that "opendts apply" takes; passwords stay where they are',
      )
      .option('--group <name>', 'resource group', 'default');
    return withJson(command);
  },

  async run(command, context) {
    const { group, json = false } = command.opts<ExportFlags>();
    const ask: Ask = { access: accessTo(context.config), group, json, context };
    const connections = await allPages((page) => call(ask, 'connection.list', { group, ...page }));
    const lines = await allPages((page) => call(ask, 'task.list', { group, ...page }));
    const tasks = [];
    // The oldest first, as they were made.
    for (const { id } of lines.toReversed()) tasks.push(await call(ask, 'task.show', { group, task: id }));
    const items = [...connections.map(connectionDocument), ...tasks.map(taskDocument)];
    context.stdout.write(
      json
        ? document({ kind: 'Export', data: { items } })
        : items.map((item) => stringify(item)).join('---\n'),
    );
    return EXIT.ok;
  },
};

type Connection = Answer<'connection.list'>['items'][number];

function connectionDocument({ name, kind, conninfo, secret, secretReference, ...more }: Connection) {
  const { instanceId, region, accessMethod, maxConnections } = more;
  return {
    apiVersion: 'opendts/v1',
    kind: 'Connection',
    metadata: { name },
    spec: known({
      kind,
      conninfo,
      passwordFile: secret === 'file' ? secretReference : null,
      passwordVariable: secret === 'env' ? secretReference : null,
      instanceId,
      region,
      accessMethod,
      maxConnections,
    }),
  };
}

function taskDocument(task: Answer<'task.show'>) {
  const { name, taskGroup, environment, cluster, source, target, spec, retry } = task;
  const blackout = task.blackout.length > 0 ? task.blackout : null;
  return {
    apiVersion: 'opendts/v1',
    kind: 'Task',
    metadata: known({ name, taskGroup, class: task.class, environment, cluster, blackout }),
    spec: {
      ...known({ source: source?.name ?? null, target: target?.name ?? null }),
      ...chosen(spec),
      retry: { connectMinutes: retry.connectMinutes, otherMinutes: retry.otherMinutes },
    },
  };
}

/** Without what is null. */
function known(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** Without what is as it would be anyway. */
function chosen(spec: TaskSettings): Record<string, unknown> {
  const defaults: Readonly<Record<string, unknown>> = taskSettings.parse({});
  return Object.fromEntries(
    Object.entries(spec).filter(
      ([field, value]) => JSON.stringify(value) !== JSON.stringify(defaults[field]),
    ),
  );
}

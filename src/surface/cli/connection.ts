/** `opendts connection`: the saved connections of a server. */
import { Argument, type Command } from 'commander';
import { AppError } from '../../base/errors/app-error.ts';
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import { shellWord } from '../../base/runtime/shell-word.ts';
import type { TestStep } from '../../contract/api/connection-operations.ts';
import type { Answer, Asked } from '../../contract/api/operations.ts';
import { accessTo, type Access } from './api-client.ts';
import { allPages, call } from './ask.ts';
import type { CliCommand, CliContext } from './context.ts';
import { withJson } from './options/task-options.ts';
import { readSecrets } from './read-secret.ts';
import { document } from './view/json.ts';
import { parseCount } from './view/numbers.ts';
import { painter, printable, table } from './view/text.ts';

const ACTIONS = ['create', 'list', 'show', 'update', 'test', 'delete'] as const;
type Action = (typeof ACTIONS)[number];

interface ConnectionFlags {
  readonly group: string;
  readonly kind?: Asked<'connection.create'>['kind'];
  readonly rename?: string;
  readonly passwordStdin?: boolean;
  readonly passwordFile?: string;
  readonly passwordVariable?: string;
  readonly instanceId?: string;
  readonly region?: string;
  readonly accessMethod?: NonNullable<Asked<'connection.create'>['accessMethod']>;
  readonly maxConnections?: number;
  readonly json?: boolean;
}

type Connection = Answer<'connection.create'> & Partial<Answer<'connection.show'>>;

interface Ask {
  readonly access: Access;
  readonly flags: ConnectionFlags;
  readonly context: CliContext;
}

export const connectionCommand: CliCommand = {
  define(program) {
    const command = program
      .command('connection')
      .description(
        'save connections on a server (opendts login, or OPENDTS_SERVER and OPENDTS_TOKEN), list, change, try and forget them',
      )
      .addArgument(new Argument('<action>', ACTIONS.join(', ')).choices(ACTIONS))
      .argument('[name]', 'name or id; all but list')
      .argument('[conninfo]', 'create, update: URI or keyword/value');
    return withJson(withFields(command));
  },

  async run(command, context) {
    const flags = command.opts<ConnectionFlags>();
    const [action, name, conninfo] = command.processedArgs as [
      Action,
      string | undefined,
      string | undefined,
    ];
    const ask: Ask = { access: accessTo(context.config), flags, context };
    if (action === 'list') return listAll(ask);
    if (name === undefined) throw missing(`Which connection to ${action} is not said.`);
    switch (action) {
      case 'create':
        return create(ask, name, conninfo);
      case 'show':
        return show(ask, await find(ask, name));
      case 'update':
        return update(ask, name, conninfo);
      case 'test':
        return test(ask, name);
      case 'delete':
        return forget(ask, name);
    }
  },
};

function withFields(command: Command): Command {
  return command
    .option('--group <name>', 'resource group', 'default')
    .option('--kind <kind>', 'create, update: postgresql, greenplum, cloudberry, adbpg')
    .option('--rename <name>', 'update: another name')
    .option('--password-stdin', 'create, update: read the password from stdin')
    .option(
      '--password-file <file>',
      'create, update: the password is in this file of the server (its --secret-dir)',
    )
    .option(
      '--password-variable <name>',
      'create, update: the password is in this variable of the server (OPENDTS_PASSWORD_…)',
    )
    .option('--instance-id <id>', 'create, update: instance of the cloud')
    .option('--region <region>', 'create, update: region of the cloud')
    .option(
      '--access-method <method>',
      'create, update: public, instance, ecs, express-connect, cen, database-gateway',
    )
    .option(
      '--max-connections <n>',
      'create, update: all tasks together open at most so many (at least 10)',
      parseCount,
    );
}

function missing(problem: string): AppError {
  return new AppError('USAGE', { problem, remedy: '"opendts connection --help" shows how it is called.' });
}

function find(ask: Ask, connection: string): Promise<Connection> {
  return call(ask, 'connection.show', { group: ask.flags.group, connection });
}

/** What the flags say of a connection. */
async function given({ flags, context }: Ask) {
  const { kind, instanceId, region, accessMethod, maxConnections, passwordFile, passwordVariable } = flags;
  const [password] = flags.passwordStdin ? await readSecrets(['Password: '], context) : [];
  const named = { passwordFile, passwordVariable, password };
  const all = { kind, instanceId, region, accessMethod, maxConnections, ...named };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Partial<
    Omit<Asked<'connection.create'>, 'group'>
  >;
}

async function create(ask: Ask, name: string, conninfo: string | undefined): Promise<ExitCode> {
  if (conninfo === undefined) throw missing('No connection string is given.');
  const input = { ...(await given(ask)), group: ask.flags.group, name, conninfo };
  return show(ask, await call(ask, 'connection.create', input));
}

async function update(ask: Ask, name: string, conninfo: string | undefined): Promise<ExitCode> {
  const { version } = await find(ask, name);
  const { group, rename } = ask.flags;
  const changes = {
    ...(await given(ask)),
    ...(rename === undefined ? {} : { name: rename }),
    ...(conninfo === undefined ? {} : { conninfo }),
  };
  return show(ask, await call(ask, 'connection.update', { ...changes, group, connection: name, version }));
}

async function forget(ask: Ask, name: string): Promise<ExitCode> {
  const { id, version } = await find(ask, name);
  const { group, json = false } = ask.flags;
  await call(ask, 'connection.delete', { group, connection: id, version });
  ask.context.stdout.write(
    json ? document({ kind: 'ConnectionDeleted', data: { id, name } }) : `deleted ${printable(name)}\n`,
  );
  return EXIT.ok;
}

async function listAll(ask: Ask): Promise<ExitCode> {
  const { group, json = false } = ask.flags;
  const items = await allPages((page) => call(ask, 'connection.list', { group, ...page }));
  const rows = items.map(({ name, kind, conninfo, secret, version }) => [
    name,
    kind,
    conninfo,
    secret,
    String(version),
  ]);
  ask.context.stdout.write(
    json
      ? document({ kind: 'ConnectionList', data: { items } })
      : lines(table(['name', 'kind', 'conninfo', 'password', 'version'], rows)),
  );
  return EXIT.ok;
}

function show({ flags, context }: Ask, connection: Connection): ExitCode {
  const { name, kind, conninfo, secret, secretReference, id, version } = connection;
  const { instanceId, region, accessMethod, maxConnections } = connection;
  const users = connection.usedBy?.map((task) => `${task.name} (${task.as}, ${task.state})`) ?? [];
  const rows = Object.entries({
    name,
    id,
    kind,
    conninfo,
    password: secretReference ?? secret,
    instanceId,
    region,
    accessMethod,
    maxConnections,
    usedBy: users.length > 0 ? users.join(', ') : null,
    version,
  })
    .filter(([, value]) => value !== null)
    .map(([field, value]) => `${field}: ${printable(String(value))}`);
  const command = `opendts connection test ${id} --group ${shellWord(flags.group)}`;
  const nextSteps = [{ why: 'See whether it works', command }];
  context.stdout.write(
    flags.json ? document({ kind: 'Connection', data: connection, nextSteps }) : lines(rows),
  );
  return EXIT.ok;
}

const COLOURS = { passed: 'green', alert: 'yellow', failed: 'red', skipped: 'dim' } as const;

async function test(ask: Ask, name: string): Promise<ExitCode> {
  const { group, json = false } = ask.flags;
  const tested = await call(ask, 'connection.test', { group, connection: name });
  const paint = painter(ask.context, ask.context.stdout);
  const line = ({ step, result, milliseconds, detail, error }: TestStep) =>
    `${step.padEnd(8)} ${paint(COLOURS[result], result.padEnd(7))} ${String(milliseconds).padStart(5)} ms  ${printable(error === null ? detail : `${error.message} ${error.remedy}`)}`;
  ask.context.stdout.write(
    json ? document({ kind: 'ConnectionTest', data: tested }) : lines(tested.steps.map(line)),
  );
  return tested.passed ? EXIT.ok : EXIT.connection;
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
}

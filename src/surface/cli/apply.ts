/** `opendts apply`: makes the connections and tasks of a file on a server what the file says, and says what changed. */
import { text as readAll } from 'node:stream/consumers';
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '../../base/errors/app-error.ts';
import { EXIT } from '../../base/errors/exit.ts';
import { shellWord } from '../../base/runtime/shell-word.ts';
import type { Answer, Asked } from '../../contract/api/operations.ts';
import type { ConnectionFile, TaskFile } from '../../contract/resource-file.ts';
import { taskSettings } from '../../contract/task-spec.ts';
import { redactConninfo } from '../../engine/pg/conninfo/conninfo.ts';
import { parseConninfo } from '../../engine/pg/conninfo/parse.ts';
import { readResources, type Resource } from '../../service/task/request/resource-file.ts';
import { accessTo } from './api-client.ts';
import { call, tell, type Ask } from './ask.ts';
import type { CliCommand } from './context.ts';
import { withJson } from './options/task-options.ts';
import { printable } from './view/text.ts';

interface ApplyFlags {
  readonly file: string;
  readonly group: string;
  readonly passwords?: boolean;
  readonly json?: boolean;
}

/** What became of one connection or task. */
interface Applied {
  readonly kind: Resource['kind'];
  readonly name: string;
  readonly id: string;
  readonly done: 'created' | 'updated' | 'unchanged';
  /** Names of fields. */
  readonly changed: readonly string[];
}

export const applyCommand: CliCommand = {
  define(program) {
    const command = program
      .command('apply')
      .description('make the connections and tasks of a file on a server, or change them to what it says')
      .requiredOption('-f, --file <file>', 'YAML or JSON, one document a connection or task; - is stdin')
      .option('--group <name>', 'resource group', 'default')
      .option('--passwords', 'send the passwords of the file also for connections that are there already');
    return withJson(command);
  },

  async run(command, context) {
    const flags = command.opts<ApplyFlags>();
    const { config, stdin } = context;
    const ask: Ask = { access: accessTo(config), group: flags.group, json: flags.json ?? false, context };
    const resources = readResources(flags.file, config.env, flags.file === '-' ? await readAll(stdin) : '');
    const all: Applied[] = [];
    // What tasks name must be there first.
    for (const kind of ['Connection', 'Task'] as const)
      for (const resource of resources.filter((one) => one.kind === kind))
        all.push(...(await apply(ask, resource, flags.passwords ?? false)));
    const tasks = all.filter((one) => one.kind === 'Task' && one.done === 'created');
    const nextSteps = tasks.map(({ name, id }) => ({
      why: `Start ${name}`,
      command: `opendts task start ${id} --group ${shellWord(flags.group)}`,
    }));
    tell(ask, { kind: 'Applied', data: { items: all }, nextSteps }, all.map(line));
    return EXIT.ok;
  },
};

function line({ kind, name, done, changed }: Applied): string {
  const what = changed.length > 0 ? `: ${changed.join(', ')}` : '';
  return `${kind.toLowerCase()} ${printable(name)} ${done}${what}`;
}

async function apply(ask: Ask, resource: Resource, passwords: boolean): Promise<Applied[]> {
  if (resource.kind === 'Connection') return [await applyConnection(ask, resource, passwords)];
  const ends = await applyEnds(ask, resource, passwords);
  return [...ends.applied, await applyTask(ask, resource, ends)];
}

/** Null where there is none. */
async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'NOT_FOUND' && thrown.facts['kind'] !== 'group')
      return null;
    throw thrown;
  }
}

async function applyConnection(
  ask: Ask,
  { metadata: { name }, spec }: ConnectionFile,
  passwords: boolean,
): Promise<Applied> {
  const { group } = ask;
  const found = await orNull(call(ask, 'connection.show', { group, connection: name }));
  if (found === null) {
    const { id } = await call(ask, 'connection.create', { group, name, ...spec });
    return { kind: 'Connection', name, id, done: 'created', changed: [] };
  }
  const { id, version } = found;
  const changed = changedOf(found, spec);
  // Nobody can be asked whether a sealed password is this one; with another address it is needed.
  const { password, passwordFile, passwordVariable, ...plain } = spec;
  const sent = passwords || changed.includes('conninfo') || changed.includes('password');
  const secret = Object.fromEntries(
    Object.entries({ password, passwordFile, passwordVariable }).filter(([, value]) => value !== undefined),
  );
  const isSecretSent = sent && (Object.keys(secret).length > 0 || hasPassword(spec.conninfo));
  if (changed.length === 0 && !isSecretSent)
    return { kind: 'Connection', name, id, done: 'unchanged', changed };
  const { conninfo, ...others } = plain;
  const change = {
    ...others,
    conninfo: sent ? conninfo : redacted(conninfo),
    ...(sent ? secret : {}),
  };
  await call(ask, 'connection.update', { group, connection: id, version, ...change });
  const names = isSecretSent && !changed.includes('password') ? [...changed, 'password'] : changed;
  return { kind: 'Connection', name, id, done: 'updated', changed: names };
}

/** Names of the fields that differ. A password in a file or variable of the server is known by its name. */
function changedOf(found: Answer<'connection.show'>, spec: ConnectionFile['spec']): string[] {
  const named = spec.passwordFile ?? spec.passwordVariable ?? null;
  return [
    ...(found.kind === spec.kind ? [] : ['kind']),
    ...(found.conninfo === redacted(spec.conninfo) ? [] : ['conninfo']),
    ...(found.instanceId === spec.instanceId ? [] : ['instanceId']),
    ...(found.region === spec.region ? [] : ['region']),
    ...(found.accessMethod === spec.accessMethod ? [] : ['accessMethod']),
    ...(found.maxConnections === spec.maxConnections ? [] : ['maxConnections']),
    ...(named === null || named === found.secretReference ? [] : ['password']),
  ];
}

/** As the server keeps it. */
function redacted(conninfo: string): string {
  return redactConninfo({ ...parseConninfo(conninfo, 'source'), password: null });
}

function hasPassword(conninfo: string): boolean {
  return parseConninfo(conninfo, 'source').password !== null;
}

interface AppliedEnds {
  readonly source: string | undefined;
  readonly target: string | undefined;
  readonly applied: readonly Applied[];
}

/** The connections that a task names; one that is written out is saved under a name that is made of the task's. */
async function applyEnds(ask: Ask, { metadata, spec }: TaskFile, passwords: boolean): Promise<AppliedEnds> {
  const applied: Applied[] = [];
  const end = async (side: 'source' | 'target'): Promise<string | undefined> => {
    const given = spec[side];
    // libpq's two forms; a name has neither.
    if (given === undefined || !/:\/\/|=/.test(given)) return given;
    const name = `${(metadata?.name ?? '').slice(0, 90)} ${side}`;
    const file: ConnectionFile = {
      apiVersion: 'opendts/v1',
      kind: 'Connection',
      metadata: { name },
      spec: {
        kind: 'postgresql',
        conninfo: given,
        instanceId: null,
        region: null,
        accessMethod: null,
        maxConnections: null,
      },
    };
    const one = await applyConnection(ask, file, passwords);
    applied.push(one);
    return one.name;
  };
  return { source: await end('source'), target: await end('target'), applied };
}

async function applyTask(
  ask: Ask,
  { metadata, spec }: TaskFile,
  { source, target }: AppliedEnds,
): Promise<Applied> {
  const { group } = ask;
  const { name = '', ...labels } = metadata ?? {};
  const { source: _source, target: _target, retry, ...settings } = spec;
  const wanted = {
    ...labels,
    ...(source === undefined ? {} : { source }),
    ...(target === undefined ? {} : { target }),
  };
  const found = await orNull(call(ask, 'task.show', { group, task: name }));
  if (found === null) {
    const { id } = await call(ask, 'task.create', { group, name, ...wanted, ...retry, spec: settings });
    return { kind: 'Task', name, id, done: 'created', changed: [] };
  }
  const { id, version } = found;
  const changed = changedOfTask(found, wanted, settings);
  let latest = version;
  if (changed.length > 0)
    latest = (await call(ask, 'task.configure', { group, task: id, version, ...wanted, spec: settings }))
      .version;
  const isRetrySet =
    retry !== undefined &&
    (retry.connectMinutes !== found.retry.connectMinutes || retry.otherMinutes !== found.retry.otherMinutes);
  if (isRetrySet) await call(ask, 'task.setRetry', { group, task: id, version: latest, ...retry });
  const all = isRetrySet ? [...changed, 'retry'] : changed;
  return { kind: 'Task', name, id, done: all.length > 0 ? 'updated' : 'unchanged', changed: all };
}

/** Names of the fields that differ; what the file does not say of labels and ends stays. */
function changedOfTask(
  found: Answer<'task.show'>,
  wanted: Omit<Partial<Asked<'task.configure'>>, 'spec'>,
  settings: Asked<'task.create'>['spec'],
): string[] {
  const now: Readonly<Record<string, unknown>> = {
    ...found,
    source: asNamed(found.source, wanted.source),
    target: asNamed(found.target, wanted.target),
  };
  const labels = Object.entries(wanted)
    .filter(([field, value]) => !isDeepStrictEqual(now[field], value))
    .map(([field]) => field);
  const spec: Readonly<Record<string, unknown>> = taskSettings.parse(settings);
  const before: Readonly<Record<string, unknown>> = found.spec;
  const fields = [...new Set([...Object.keys(spec), ...Object.keys(before)])];
  return [...labels, ...fields.filter((field) => !isDeepStrictEqual(before[field], spec[field]))];
}

/** By its id or its name, as the file has it. */
function asNamed(end: Answer<'task.show'>['source'], wanted: string | undefined): string | undefined {
  return end?.id === wanted ? wanted : end?.name;
}

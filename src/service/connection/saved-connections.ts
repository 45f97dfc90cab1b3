/** Saved endpoints: made, changed, shown, forgotten. What is stored is a URI without a password; what is secret is beside it. */
import { randomUUID } from 'node:crypto';
import { AppError } from '../../base/errors/app-error.ts';
import type { Answer, Input } from '../../contract/api/operations.ts';
import { redactConninfo, type ConnInfo } from '../../engine/pg/conninfo/conninfo.ts';
import { parseConninfo } from '../../engine/pg/conninfo/parse.ts';
import type { ConnectionFields, StoredConnection } from '../store/connection/connection-row.ts';
import { deleteConnection } from '../store/connection/delete-connection.ts';
import { findConnection } from '../store/connection/find-connection.ts';
import { insertConnection } from '../store/connection/insert-connection.ts';
import { updateConnection } from '../store/connection/update-connection.ts';
import type { Db } from '../store/store.ts';
import { isDuplicate } from '../store/store.ts';
import { judgeConninfo, type EndpointPolicy } from './endpoint-policy.ts';
import type { Keyring } from './keyring.ts';
import { storedSecret, type GivenSecret, type SecretSources } from './secret.ts';

/** What the server allows connections, and seals them with. */
export interface ConnectionSettings {
  readonly keyring: Keyring;
  readonly secrets: SecretSources;
  readonly policy: EndpointPolicy;
}

/** Beside that, what whoever edits one may do. */
export interface EditSettings extends ConnectionSettings {
  /**
   * Name files and variables of the server: a password, or a client certificate with its key. They are not of one group, and who names one
   * could have it used, or sent, wherever they like.
   */
  readonly mayName: boolean;
}

export type ShownConnection = Answer<'connection.create'>;

/** Throws NAME_TAKEN, CONNINFO_INVALID, HOST_REFUSED, FILE_REFUSED or INPUT_INVALID. */
export async function createConnection(
  db: Db,
  groupId: string,
  input: Omit<Input<'connection.create'>, 'group'>,
  settings: EditSettings,
): Promise<StoredConnection> {
  const id = randomUUID();
  const { info, password } = readConninfo(input.conninfo, settings.policy);
  requireMayName(settings, input, info);
  const given = password === null ? input : { ...input, password: onePassword(input.password, password) };
  const secret = storedSecret(given, id, settings.keyring, settings.secrets);
  const made = await insertConnection(db, {
    ...input,
    id,
    groupId,
    conninfo: redactConninfo(info),
    secret: secret ?? { kind: 'none', keyId: null, sealed: null, reference: null },
  });
  if (made === null) throw new AppError('NAME_TAKEN', { kind: 'connection', name: input.name });
  return made;
}

/**
 * Throws what createConnection throws, CHANGED_MEANWHILE, or SECRET_NEEDED: who may edit a connection need not know its password, and must
 * not be able to have it sent to a server of theirs.
 */
export async function changeConnection(
  db: Db,
  before: StoredConnection,
  input: Omit<Input<'connection.update'>, 'group' | 'connection'>,
  settings: EditSettings,
): Promise<StoredConnection> {
  const { info, password } = readConninfo(input.conninfo ?? before.conninfo, settings.policy);
  const given = password === null ? input : { ...input, password: onePassword(input.password, password) };
  const secret = storedSecret(given, before.id, settings.keyring, settings.secrets);
  const conninfo = redactConninfo(info);
  requireMayName(settings, input, conninfo === before.conninfo ? null : info);
  if (conninfo !== before.conninfo && before.secretKind !== 'none' && secret === null)
    throw new AppError('SECRET_NEEDED');
  const fields: ConnectionFields = {
    name: input.name ?? before.name,
    kind: input.kind ?? before.kind,
    conninfo,
    instanceId: input.instanceId === undefined ? before.instanceId : input.instanceId,
    region: input.region === undefined ? before.region : input.region,
    accessMethod: input.accessMethod === undefined ? before.accessMethod : input.accessMethod,
    maxConnections: input.maxConnections === undefined ? before.maxConnections : input.maxConnections,
  };
  let changed: StoredConnection | null;
  try {
    changed = await updateConnection(db, { id: before.id, version: input.version, ...fields, secret });
  } catch (thrown) {
    if (isDuplicate(thrown))
      throw new AppError('NAME_TAKEN', { kind: 'connection', name: fields.name }, thrown);
    throw thrown;
  }
  if (changed === null) throw changedMeanwhile(before, input.version);
  return changed;
}

/** Throws CHANGED_MEANWHILE. */
export async function forgetConnection(db: Db, before: StoredConnection, version: number): Promise<void> {
  if ((await deleteConnection(db, before.id, version)) === null) throw changedMeanwhile(before, version);
}

/** One of the group. Throws NOT_FOUND. */
export async function requireConnection(
  db: Db,
  groupId: string,
  idOrName: string,
): Promise<StoredConnection> {
  const found = await findConnection(db, groupId, idOrName);
  if (found === null) throw new AppError('NOT_FOUND', { kind: 'connection', name: idOrName });
  return found;
}

/** As everybody with the right to view may see it. */
export function shownConnection(stored: StoredConnection): ShownConnection {
  const info = parseConninfo(stored.conninfo, 'source');
  return {
    id: stored.id,
    name: stored.name,
    // The store holds nothing else: what comes in is checked.
    kind: stored.kind as ShownConnection['kind'],
    conninfo: stored.conninfo,
    hosts: info.hosts.map(({ host, port }) => ({ host, port })),
    database: info.database,
    user: info.user,
    sslMode: info.ssl.mode,
    secret: stored.secretKind,
    secretReference: stored.secretReference,
    instanceId: stored.instanceId,
    region: stored.region,
    accessMethod: stored.accessMethod as ShownConnection['accessMethod'],
    maxConnections: stored.maxConnections,
    version: stored.version,
    createdAt: stored.createdAt,
    updatedAt: stored.updatedAt,
  };
}

/** `info` where it is a new one. Throws FORBIDDEN. */
function requireMayName({ mayName }: EditSettings, given: GivenSecret, info: ConnInfo | null): void {
  const names = [given.passwordFile, given.passwordVariable, info?.ssl.cert, info?.ssl.key];
  if (mayName || names.every((one) => one === undefined || one === null)) return;
  throw new AppError('FORBIDDEN', {
    right: 'an account that administers opendts to name a secret of the server',
    whom: 'who has one, or give the password',
  });
}

function readConninfo(text: string, policy: EndpointPolicy): { info: ConnInfo; password: string | null } {
  const { password, ...info } = parseAs(text);
  judgeConninfo({ ...info, password: null }, policy);
  return { info: { ...info, password: null }, password };
}

/** The engine knows two sides; a connection is neither yet. */
function parseAs(text: string): ConnInfo {
  try {
    return parseConninfo(text, 'source');
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    throw new AppError(thrown.code, { ...thrown.facts, side: 'database' }, thrown.cause);
  }
}

function onePassword(given: string | undefined, inConninfo: string): string {
  if (given !== undefined && given !== inConninfo)
    throw new AppError('INPUT_INVALID', {
      problem: 'There is one password in conninfo and another beside it',
    });
  return inConninfo;
}

function changedMeanwhile({ name }: StoredConnection, version: number): AppError {
  return new AppError('CHANGED_MEANWHILE', { kind: 'connection', name, version });
}

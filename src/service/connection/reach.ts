/**
 * From a saved connection to what a session is opened with: its secret, what of it the server allows, and its names looked up once. What
 * was judged is what is connected to. Tests of a connection and tasks go this way both.
 */
import { explainFailure } from '../../engine/pg/connect-failure.ts';
import { connect } from '../../engine/pg/connect.ts';
import type { ConnInfo, Side } from '../../engine/pg/conninfo/conninfo.ts';
import { parseConninfo } from '../../engine/pg/conninfo/parse.ts';
import { identify, type DatabaseIdentity } from '../../engine/pg/identity.ts';
import type { Session } from '../../engine/pg/session.ts';
import type { StoredConnection } from '../store/connection/connection-row.ts';
import type { Db } from '../store/store.ts';
import { addressesOf, judgeConninfo, judgeIdentity, type EndpointPolicy } from './endpoint-policy.ts';
import type { ConnectionSettings } from './saved-connections.ts';
import { readSecret } from './secret.ts';

/** With its password. Throws SEALING_KEY_UNKNOWN, SECRET_UNREADABLE or FILE_REFUSED. */
export async function withSecret(
  db: Db,
  stored: StoredConnection,
  { keyring, secrets }: ConnectionSettings,
): Promise<ConnInfo> {
  const password = await readSecret(db, stored, keyring, secrets);
  return { ...parseConninfo(stored.conninfo, 'source'), password };
}

/** The same under the addresses that its names have now. Throws HOST_REFUSED, FILE_REFUSED, NETWORK_REFUSED, or what the name service says. */
export async function pinned(info: ConnInfo, policy: EndpointPolicy): Promise<ConnInfo> {
  judgeConninfo(info, policy);
  const found = await Promise.all(info.hosts.map((host) => addressesOf(host, policy)));
  return { ...info, hosts: found.flat() };
}

export interface Reached {
  readonly session: Session;
  readonly identity: DatabaseIdentity;
}

/** A session to a pinned connection, which is not our own store. Throws what connect throws, or STORE_AS_ENDPOINT. */
export async function reach(
  info: ConnInfo,
  policy: EndpointPolicy,
  options: { readonly side: Side; readonly applicationName: string },
): Promise<Reached> {
  const session = await connect(info, options);
  try {
    const identity = await identify(session);
    judgeIdentity(identity, policy);
    return { session, identity };
  } catch (thrown) {
    await session.end();
    throw thrown;
  }
}

/** One end of a task, ready to be connected to. Throws what the three above throw; what the name service says is CONNECT_FAILED. */
export async function reachable(
  db: Db,
  stored: StoredConnection,
  settings: ConnectionSettings,
  side: Side,
): Promise<ConnInfo> {
  const given = await withSecret(db, stored, settings);
  const info = await pinned(given, settings.policy).catch((thrown: unknown) => {
    const [host] = given.hosts;
    throw host ? explainFailure(thrown, { info: given, host, side }) : thrown;
  });
  const { session } = await reach(info, settings.policy, { side, applicationName: 'opendts:reach' });
  await session.end();
  return info;
}

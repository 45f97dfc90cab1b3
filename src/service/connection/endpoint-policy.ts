/**
 * Where connections of the service may lead (H4): not to sockets of its own machine, not to certificate files that were not put there for
 * them, only into allowed networks, and never to our own metadata database. A name is looked up once, and what was judged is what is
 * connected to: a name that changes its address in between leads nowhere else.
 */
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { AppError } from '../../base/errors/app-error.ts';
import type { ConnInfo, HostPort } from '../../engine/pg/conninfo/conninfo.ts';
import type { DatabaseIdentity } from '../../engine/pg/identity.ts';
import { requireBelow } from './secret.ts';

export interface EndpointPolicy {
  /** `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`; none: every network but those of METADATA. */
  readonly networks: readonly string[];
  /** Certificates and keys that connections name lie below it; null: only `sslrootcert=system`. */
  readonly certificateDir: string | null;
  /** Of the metadata database. */
  readonly store: DatabaseIdentity;
}

/** Where clouds tell their machines what they are, keys included; nobody has a database there. Only where it is allowed by name. */
const METADATA = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254', '100.100.100.200'];

/** What can be judged without the network. Throws HOST_REFUSED or FILE_REFUSED. */
export function judgeConninfo(info: ConnInfo, { certificateDir }: EndpointPolicy): void {
  for (const { host } of info.hosts) if (host.startsWith('/')) throw new AppError('HOST_REFUSED', { host });
  const { rootCert, cert, key } = info.ssl;
  for (const path of [rootCert === 'system' ? null : rootCert, cert, key])
    if (path !== null)
      requireBelow(path, certificateDir, { what: 'Certificate file', option: '--certificate-dir' });
}

/** The host under each of its addresses. Throws NETWORK_REFUSED, or what the name service says. */
export async function addressesOf(host: HostPort, policy: EndpointPolicy): Promise<HostPort[]> {
  const name = host.address ?? host.host;
  const addresses = isIP(name) ? [name] : (await lookup(name, { all: true })).map(({ address }) => address);
  const isOpen = policy.networks.length === 0;
  const named = blockList(isOpen ? METADATA : policy.networks);
  for (const address of addresses)
    if (contains(named, address) === isOpen)
      throw new AppError('NETWORK_REFUSED', { host: host.host, address });
  return addresses.map((address) => ({ ...host, address }));
}

/** Also a clone of it, and itself after a restart. Throws STORE_AS_ENDPOINT. */
export function judgeIdentity(found: DatabaseIdentity, { store }: EndpointPolicy): void {
  const isStore =
    found.systemIdentifier === store.systemIdentifier &&
    found.databaseOid === store.databaseOid &&
    found.database === store.database;
  if (isStore) throw new AppError('STORE_AS_ENDPOINT');
}

function contains(list: BlockList, address: string): boolean {
  // An IPv4 address may come in IPv6's clothes.
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return list.check(mapped ?? address, isIPv6(mapped ?? address) ? 'ipv6' : 'ipv4');
}

/** Whether it is an address, or a network as address/bits. */
export function isNetwork(text: string): boolean {
  try {
    blockList([text]);
    return true;
  } catch {
    return false;
  }
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN, family);
  }
  return list;
}

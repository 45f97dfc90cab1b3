/** libpq's parallel lists `host`, `hostaddr` and `port` as one list of addresses. */
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { DEFAULT_PORT, invalidConninfo, SOCKET_FOLDERS, type Side } from './conninfo.ts';

export interface Address {
  readonly host: string;
  readonly address: string | null;
  readonly port: number;
}

export interface HostLists {
  readonly host: string;
  readonly hostaddr: string;
  readonly port: string;
  /** Whether a missing host may be a server's socket on this machine. */
  readonly localSockets: boolean;
}

/** Pairs the lists up; one port serves all hosts, an empty element is its default. Throws CONNINFO_INVALID. */
export function pairHosts(lists: HostLists, side: Side): Address[] {
  const names = lists.host === '' ? [] : lists.host.split(',');
  const addresses = lists.hostaddr === '' ? [] : lists.hostaddr.split(',');
  const ports = lists.port.split(',').map((port) => readPort(port, side));
  if (names.length > 0 && addresses.length > 0 && names.length !== addresses.length)
    throw invalidConninfo(side, `${names.length} hosts but ${addresses.length} hostaddr values are given`);
  const count = Math.max(names.length, addresses.length, 1);
  if (ports.length !== 1 && ports.length !== count)
    throw invalidConninfo(side, `${count} hosts but ${ports.length} ports are given`);
  return Array.from({ length: count }, (_, i) => {
    const port = ports[ports.length === 1 ? 0 : i] ?? DEFAULT_PORT;
    const address = addresses[i] || null;
    const host = names[i] || address || defaultHost(port, lists.localSockets);
    if (host.includes('@'))
      throw invalidConninfo(side, 'a host contains "@" (abstract sockets are not supported)');
    if (address !== null && isIP(address) === 0) throw invalidConninfo(side, 'hostaddr is not an IP address');
    return { host, address, port };
  });
}

function readPort(text: string, side: Side): number {
  if (text.trim() === '') return DEFAULT_PORT;
  const port = /^\s*\d{1,5}\s*$/.test(text) ? Number(text) : 0;
  // The text is not quoted: with a "/" in a password, this is a piece of it.
  if (port < 1 || port > 65_535) throw invalidConninfo(side, 'a port is not a number from 1 to 65535');
  return port;
}

function defaultHost(port: number, localSockets: boolean): string {
  const folder = localSockets
    ? SOCKET_FOLDERS.find((path) => existsSync(join(path, `.s.PGSQL.${port}`)))
    : undefined;
  return folder ?? 'localhost';
}

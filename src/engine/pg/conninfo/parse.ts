/** Connection strings of libpq as a ConnInfo: sources merged in libpq's order (string, service, environment, defaults), values checked. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { SecureVersion } from 'node:tls';
import {
  DEFAULT_CONNECT_TIMEOUT_SECONDS,
  invalidConninfo,
  SOCKET_FOLDERS,
  SSL_MODES,
  TARGET_SESSION_ATTRS,
  type Ambient,
  type ConnInfo,
  type HostPort,
  type Side,
  type Ssl,
} from './conninfo.ts';
import { pairHosts, type Address } from './hosts.ts';
import { parseKeywordValue } from './keyword-value.ts';
import { environmentParameters, requireKept, type Parameters } from './parameters.ts';
import { findPassword, readPasswordFile } from './password-file.ts';
import { readService } from './service-file.ts';
import { isUri, parseUri } from './uri.ts';

const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const satisfies readonly SecureVersion[];

/** The value of a parameter; '' when nobody gave one. */
type Lookup = (name: string) => string;

/**
 * Reads a URI or keyword/value string. Without `ambient` nothing but the text counts: no environment, no files of the home folder,
 * no operating-system user. Throws CONNINFO_INVALID, which never quotes a value that may be a password.
 */
export function parseConninfo(text: string, side: Side, ambient?: Ambient): ConnInfo {
  const given = isUri(text.trim()) ? parseUri(text.trim(), side) : parseKeywordValue(text, side);
  const value = merge(given, side, ambient);
  const user = value('user') || ambient?.osUser;
  if (!user) throw invalidConninfo(side, 'the user is missing');
  const database = value('dbname') || user;
  const password = value('password') || null;
  const addresses = pairHosts(
    {
      host: value('host'),
      hostaddr: value('hostaddr'),
      port: value('port'),
      localSockets: ambient !== undefined,
    },
    side,
  );
  const passwords = password === null ? passwordLines(value('passfile'), ambient) : [];
  return {
    hosts: addresses.map((address): HostPort => ({
      ...address,
      password: findPassword(passwords, { ...address, host: passwordHost(address), database, user }),
    })),
    targetSessionAttrs: oneOf(value, 'target_session_attrs', TARGET_SESSION_ATTRS, side) ?? 'any',
    database,
    user,
    password,
    ssl: readSsl(value, side, ambient),
    connectTimeoutSeconds: readTimeout(value('connect_timeout'), side),
    options: value('options') || null,
  };
}

/** A parameter that is given, even empty, hides those of the places after it. */
function merge(given: Parameters, side: Side, ambient: Ambient | undefined): Lookup {
  const env = ambient ? environmentParameters(ambient.env) : new Map<string, string>();
  const name = given.get('service') ?? env.get('service') ?? '';
  if (name !== '' && !ambient)
    throw invalidConninfo(side, 'a service file is read by the command line only; give the parameters');
  const service =
    name !== '' && ambient
      ? readService(name, given.get('servicefile') ?? env.get('servicefile'), ambient, side)
      : new Map<string, string>();
  const merged = new Map([...env, ...service, ...given]);
  for (const [parameter, value] of merged) requireKept(parameter, value, side);
  return (parameter) => merged.get(parameter) ?? '';
}

function passwordLines(passfile: string, ambient: Ambient | undefined): readonly string[] {
  // `passfile=` in a string handed to a service would name a file of that machine: not read, like all ambient state.
  return ambient ? readPasswordFile(passfile || join(ambient.home, '.pgpass'), ambient.warn) : [];
}

function passwordHost({ host }: Address): string {
  return SOCKET_FOLDERS.some((folder) => folder === host) ? 'localhost' : host;
}

function readSsl(value: Lookup, side: Side, ambient: Ambient | undefined): Ssl {
  const inHome = (name: string) => {
    const path = ambient ? join(ambient.home, '.postgresql', name) : '';
    return path !== '' && existsSync(path) ? path : null;
  };
  const rootCert = value('sslrootcert') || inHome('root.crt');
  const cert = value('sslcert') || inHome('postgresql.crt');
  const system = rootCert === 'system';
  const mode = oneOf(value, 'sslmode', SSL_MODES, side) ?? (system ? 'verify-full' : 'prefer');
  if (system && mode !== 'verify-full')
    throw invalidConninfo(side, `sslrootcert=system needs sslmode=verify-full, not ${mode}`);
  if ((mode === 'verify-ca' || mode === 'verify-full') && rootCert === null)
    throw invalidConninfo(
      side,
      `sslmode=${mode} needs a root certificate: sslrootcert=FILE, or sslrootcert=system for those of this machine`,
    );
  const negotiation = oneOf(value, 'sslnegotiation', ['postgres', 'direct'] as const, side) ?? 'postgres';
  if (negotiation === 'direct' && (mode === 'disable' || mode === 'allow' || mode === 'prefer'))
    throw invalidConninfo(side, `sslnegotiation=direct needs sslmode=require or stronger, not ${mode}`);
  return {
    mode,
    negotiation,
    rootCert,
    cert,
    key: value('sslkey') || inHome('postgresql.key'),
    minProtocol: oneOf(value, 'ssl_min_protocol_version', TLS_VERSIONS, side),
    maxProtocol: oneOf(value, 'ssl_max_protocol_version', TLS_VERSIONS, side),
  };
}

function oneOf<T extends string>(value: Lookup, name: string, allowed: readonly T[], side: Side): T | null {
  const text = value(name);
  if (text === '') return null;
  const found = allowed.find((one) => one === text);
  if (found === undefined)
    throw invalidConninfo(side, `${name} is "${text}"; it may be ${allowed.join(', ')}`);
  return found;
}

/** Seconds; 0 and negative wait for ever, as in libpq. */
function readTimeout(text: string, side: Side): number {
  if (text === '') return DEFAULT_CONNECT_TIMEOUT_SECONDS;
  // The driver's timer takes 32-bit milliseconds.
  if (!/^\s*-?\d{1,6}\s*$/.test(text))
    throw invalidConninfo(side, 'connect_timeout is not a number of seconds up to 999999');
  return Math.max(0, Number(text));
}

/**
 * What it takes to reach one database, in libpq's terms. Made by parse.ts from a URI or keyword/value DSN, never from ambient
 * state: environment, password file and service file are handed in by the CLI.
 * https://www.postgresql.org/docs/current/libpq-connect.html
 */
import type { SecureVersion } from 'node:tls';
import { AppError } from '../../../base/errors/app-error.ts';

export type Side = 'source' | 'target';

export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

export const TARGET_SESSION_ATTRS = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const;
export type TargetSessionAttrs = (typeof TARGET_SESSION_ATTRS)[number];

/** One address of a (possibly multi-host) connection; `host` beginning with `/` is the folder of a unix socket. */
export interface HostPort {
  readonly host: string;
  /** `hostaddr`: connect here and verify the certificate against `host`; null: look `host` up. */
  readonly address: string | null;
  readonly port: number;
  /** From the password file, which is looked up per host; null: use the connection's own or none. */
  readonly password: string | null;
}

export interface Ssl {
  readonly mode: SslMode;
  readonly negotiation: 'postgres' | 'direct';
  /** A file, or `system` for the certificates of this machine; null: the chain is not verified. */
  readonly rootCert: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly minProtocol: SecureVersion | null;
  readonly maxProtocol: SecureVersion | null;
}

export interface ConnInfo {
  readonly hosts: readonly HostPort[];
  readonly targetSessionAttrs: TargetSessionAttrs;
  readonly database: string;
  readonly user: string;
  readonly password: string | null;
  readonly ssl: Ssl;
  /** Per host; 0 waits for ever. */
  readonly connectTimeoutSeconds: number;
  /** libpq's `options`: command-line options for the server (`-c search_path=x`). */
  readonly options: string | null;
}

/** What libpq takes from its surroundings. Only the CLI hands it in: a service must not pick up credentials lying around. */
export interface Ambient {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Home folder: ~/.pgpass, ~/.pg_service.conf, ~/.postgresql/. */
  readonly home: string;
  readonly osUser: string;
  readonly warn: (text: string) => void;
}

export const DEFAULT_PORT = 5432;
export const DEFAULT_CONNECT_TIMEOUT_SECONDS = 10;
/** Where libpq of the distributions and libpq as compiled from source look for a local server. */
export const SOCKET_FOLDERS = ['/var/run/postgresql', '/tmp'] as const;

/** A connection string that cannot be used. `problem` must not quote what may be a password. */
export function invalidConninfo(side: Side, problem: string, cause?: unknown): AppError {
  return new AppError('CONNINFO_INVALID', { side, problem }, cause);
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('/') ? `[${host}]` : host;
}

/** `host:port/database` as shown to people: never a password. */
export function describeEndpoint(info: ConnInfo): string {
  const hosts = info.hosts.map(({ host, port }) =>
    host.startsWith('/') ? `${host}/.s.PGSQL.${port}` : `${bracketed(host)}:${port}`,
  );
  return `${hosts.join(',')}/${info.database}`;
}

/** The connection as a URI ready to paste into a command, without its password. parseConninfo() reads it back to the same ConnInfo. */
export function redactConninfo(info: ConnInfo): string {
  const { ssl, hosts } = info;
  const parameters: readonly (readonly [string, string | null])[] = [
    [
      'hostaddr',
      hosts.some(({ address }) => address) ? hosts.map(({ address }) => address ?? '').join(',') : null,
    ],
    ['target_session_attrs', info.targetSessionAttrs === 'any' ? null : info.targetSessionAttrs],
    ['sslmode', ssl.mode === 'prefer' ? null : ssl.mode],
    ['sslnegotiation', ssl.negotiation === 'postgres' ? null : ssl.negotiation],
    ['sslrootcert', ssl.rootCert],
    ['sslcert', ssl.cert],
    ['sslkey', ssl.key],
    ['ssl_min_protocol_version', ssl.minProtocol],
    ['ssl_max_protocol_version', ssl.maxProtocol],
    [
      'connect_timeout',
      info.connectTimeoutSeconds === DEFAULT_CONNECT_TIMEOUT_SECONDS
        ? null
        : String(info.connectTimeoutSeconds),
    ],
    ['options', info.options],
  ];
  const query = parameters
    .flatMap(([name, value]) => (value === null ? [] : [`${name}=${encodeURIComponent(value)}`]))
    .join('&');
  const authority = hosts.map(
    ({ host, port }) => `${host.includes(':') ? `[${host}]` : encodeURIComponent(host)}:${port}`,
  );
  const path = `${encodeURIComponent(info.user)}@${authority.join(',')}/${encodeURIComponent(info.database)}`;
  return `postgresql://${path}${query ? `?${query}` : ''}`;
}

/**
 * What it takes to reach one database, in libpq's terms. Made by parse.ts from a URI or keyword/value DSN, never from ambient
 * state: environment, password file and service file are handed in by the CLI.
 * https://www.postgresql.org/docs/current/libpq-connect.html
 */

export type Side = 'source' | 'target';
export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
export type TargetSessionAttrs =
  | 'any'
  | 'read-write'
  | 'read-only'
  | 'primary'
  | 'standby'
  | 'prefer-standby';

/** One address of a (possibly multi-host) connection; `host` beginning with `/` is the folder of a unix socket. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
  /** From the password file, which is looked up per host; null: use the connection's own or none. */
  readonly password: string | null;
}

export interface ConnInfo {
  readonly hosts: readonly HostPort[];
  readonly targetSessionAttrs: TargetSessionAttrs;
  readonly database: string;
  readonly user: string;
  readonly password: string | null;
  readonly ssl: {
    readonly mode: SslMode;
    readonly negotiation: 'postgres' | 'direct';
    readonly rootCert: string | null;
    readonly cert: string | null;
    readonly key: string | null;
  };
  readonly connectTimeoutSeconds: number;
  /** libpq's `options`: command-line options for the server (`-c search_path=x`). */
  readonly options: string | null;
}

/** `host:port/database` as shown to people: never a password. */
export function describeEndpoint(info: ConnInfo): string {
  return `${info.hosts.map(({ host, port }) => (host.startsWith('/') ? `${host}/.s.PGSQL.${port}` : `${host}:${port}`)).join(',')}/${info.database}`;
}

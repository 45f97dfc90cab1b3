/** Why a connection did not come about, in words a person can act on. Pure: driver and server errors in, errors of the table out. */
import { AppError } from '../../base/errors/app-error.ts';
import { describeEndpoint, type ConnInfo, type HostPort, type Side } from './conninfo/conninfo.ts';
import { isTlsFailure } from './conninfo/tls.ts';
import { ident } from './ident.ts';
import { SQLSTATE, sqlstateOf } from './pg-error.ts';

/** What connect.ts throws into the driver when the server asks for a password and there is none. */
export const NO_PASSWORD = 'the server asks for a password and none was given';

export interface FailedAttempt {
  readonly info: ConnInfo;
  readonly host: HostPort;
  readonly side: Side;
  readonly replication?: boolean;
}

/** Whether other hosts must not be tried: the server was reached and said no, as in libpq. A server that starts, stops or is full may have a peer that serves. */
export function endsTheSearch(failure: AppError, thrown: unknown): boolean {
  const state = sqlstateOf(thrown);
  return failure.code !== 'CONNECT_FAILED' || (state !== undefined && !/^(08|53|57)/.test(state));
}

/** The failure as an error of the table, with the thrown one as its cause; errors that are of the table already stay. */
export function explainFailure(thrown: unknown, attempt: FailedAttempt): AppError {
  if (thrown instanceof AppError) return thrown;
  const { info, host, side } = attempt;
  const endpoint = describeEndpoint({ ...info, hosts: [host] });
  const problem = describeProblem(thrown, info.connectTimeoutSeconds);
  const { user, database } = info;
  const state = sqlstateOf(thrown);
  if (state === SQLSTATE.invalidCatalogName)
    return new AppError('DATABASE_MISSING', { side, endpoint, database }, thrown);
  if (state === SQLSTATE.insufficientPrivilege && attempt.replication)
    return new AppError('NO_REPLICATION_RIGHT', { user, role: ident(user) }, thrown);
  const login = loginRemedy(thrown, info);
  return login === null
    ? new AppError('CONNECT_FAILED', { side, endpoint, problem, remedy: networkRemedy(thrown, info) }, thrown)
    : new AppError('CONNECT_REFUSED_LOGIN', { side, endpoint, user, problem, remedy: login }, thrown);
}

/** The server has no connection left, for anybody or for our role or database. */
export function isShortOfConnections(thrown: unknown): boolean {
  return (
    thrown instanceof AppError && thrown.code === 'CONNECT_FAILED' && sqlstateOf(thrown.cause) === '53300'
  );
}

function describeProblem(thrown: unknown, timeoutSeconds: number): string {
  if (!(thrown instanceof Error)) return String(thrown);
  // Several addresses behind one name: Node reports one error for each and no text of its own.
  const text =
    thrown instanceof AggregateError
      ? thrown.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join('; ')
      : thrown.message;
  return text === 'timeout expired' ? `no answer within ${timeoutSeconds} s` : text.trim();
}

/** Null when the login was not refused. */
function loginRemedy(thrown: unknown, { user, database, ssl }: ConnInfo): string | null {
  const state = sqlstateOf(thrown);
  if (state === '28P01' || (thrown instanceof Error && thrown.message === NO_PASSWORD))
    return 'Check the password (PGPASSWORD, the password file, or the connection string; of a saved connection: opendts connection update NAME --password-stdin).';
  if (state === SQLSTATE.insufficientPrivilege)
    return `As an administrator run: GRANT CONNECT ON DATABASE ${ident(database)} TO ${ident(user)};`;
  if (state === undefined || !state.startsWith('28')) return null;
  return ssl.mode === 'disable'
    ? 'Check the user name and pg_hba.conf of that server; if it accepts TLS only, give sslmode=require.'
    : 'Check the user name and pg_hba.conf of that server.';
}

function networkRemedy(thrown: unknown, { ssl, connectTimeoutSeconds }: ConnInfo): string {
  const state = sqlstateOf(thrown) ?? '';
  if (state.startsWith('53')) return 'The server is full: end sessions, or raise max_connections.';
  if (state.startsWith('57')) return 'The server is starting or stopping: wait, then try again.';
  if (!(thrown instanceof Error)) return 'Check host, port, firewall and sslmode.';
  const code = 'code' in thrown ? String(thrown.code) : '';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return 'Check the host name and the name service of this machine.';
  if (code === 'ECONNREFUSED')
    return 'Check host and port, and that the server listens there (listen_addresses).';
  if (code === 'ENOENT') return 'Check the socket folder and the port: no server listens there.';
  if (thrown.message === 'timeout expired' || code === 'ETIMEDOUT')
    return `Check host, port and firewall; wait longer with connect_timeout (now ${connectTimeoutSeconds}).`;
  if (/does not support SSL/.test(thrown.message))
    return `The server has TLS off and sslmode=${ssl.mode} asks for it: set ssl = on there, or give sslmode=prefer.`;
  // Some codes of OpenSSL say nothing of TLS (UNABLE_TO_VERIFY_LEAF_SIGNATURE).
  if (isTlsFailure(thrown) || thrown.message.includes('certificate'))
    return `Check the certificate of the server against sslrootcert and the host name (sslmode=${ssl.mode}).`;
  return 'Check host, port, firewall and sslmode.';
}

/**
 * Opens sessions: tries the hosts in their order, speaks TLS as sslmode asks, sets what every session of ours sets,
 * and turns the driver's complaints into errors of the table.
 */
import type pg from 'pg';
import { AppError } from '../../base/errors/app-error.ts';
import { describeEndpoint, type ConnInfo, type HostPort, type Side } from './conninfo/conninfo.ts';
import { tlsAttempts, type TlsAttempt } from './conninfo/tls.ts';
import { literal } from './ident.ts';
import { SQLSTATE, sqlstateOf } from './pg-error.ts';
import { Session } from './session.ts';
import { sessionSettings } from './settings.ts';

export interface ConnectOptions {
  readonly side: Side;
  /** Shown in pg_stat_activity: `opendts:<task>:<role>`. */
  readonly applicationName: string;
  readonly replication?: boolean;
}

/** Opens one session on the first host that answers and has the wanted role. Throws CONNECT_FAILED, CONNECT_REFUSED_LOGIN or DATABASE_MISSING. */
export async function connect(info: ConnInfo, options: ConnectOptions): Promise<Session> {
  let first: unknown = null;
  const passes =
    info.targetSessionAttrs === 'prefer-standby'
      ? (['standby', 'any'] as const)
      : ([info.targetSessionAttrs] as const);
  for (const wanted of passes) {
    for (const host of info.hosts) {
      try {
        const session = await openHost(info, host, options);
        const unfit = await lacksRole(session, wanted);
        if (unfit === null) {
          await prepare(session);
          return session;
        }
        await session.end();
        first ??= new Error(unfit);
      } catch (thrown) {
        first ??= thrown;
        // A refused password is the same answer from every host; asking on could lock the account.
        if (/^28/.test(sqlstateOf(thrown) ?? '')) break;
      }
    }
  }
  throw explainFailure(first, info, options.side);
}

async function openHost(info: ConnInfo, host: HostPort, options: ConnectOptions): Promise<Session> {
  let last: unknown = null;
  for (const attempt of tlsAttempts(info.ssl, host.host)) {
    try {
      return await Session.open(driverConfig(info, host, attempt, options), options.side);
    } catch (thrown) {
      last = thrown;
      if (!attempt.mayFallBack(thrown)) break;
    }
  }
  throw last;
}

function driverConfig(
  info: ConnInfo,
  host: HostPort,
  attempt: TlsAttempt,
  options: ConnectOptions,
): pg.ClientConfig {
  return {
    host: host.host,
    port: host.port,
    user: info.user,
    database: info.database,
    // The driver must not look at PGPASSWORD or a password file by itself: an empty string is "none".
    password: host.password ?? info.password ?? '',
    ssl: attempt.ssl,
    ...(info.ssl.negotiation === 'direct' && attempt.ssl ? { sslnegotiation: 'direct' as const } : {}),
    application_name: options.applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    connectionTimeoutMillis: info.connectTimeoutSeconds * 1000,
    ...(info.options ? { options: info.options } : {}),
    ...(options.replication ? { replication: 'database' } : {}),
  } as pg.ClientConfig;
}

/** Settings go in one simple-protocol string, which replication connections accept too. */
async function prepare(session: Session): Promise<void> {
  const settings = Object.entries(sessionSettings(session.version));
  try {
    await session.query(settings.map(([name, value]) => `SET ${name} = ${literal(value)}`).join('; '));
  } catch (thrown) {
    await session.end();
    throw thrown;
  }
}

/** Null when the server has the role `target_session_attrs` asks for, else why not. */
async function lacksRole(session: Session, wanted: ConnInfo['targetSessionAttrs']): Promise<string | null> {
  if (wanted === 'any' || wanted === 'prefer-standby') return null;
  const standby = (await session.one('SELECT pg_catalog.pg_is_in_recovery() AS yes')).yes === 't';
  if (wanted === 'primary') return standby ? 'the server is a standby' : null;
  if (wanted === 'standby') return standby ? null : 'the server is not a standby';
  const readOnly =
    standby ||
    (await session.one('SHOW default_transaction_read_only')).default_transaction_read_only === 'on';
  if (wanted === 'read-write') return readOnly ? 'the server is read-only' : null;
  return readOnly ? null : 'the server is not read-only';
}

function explainFailure(thrown: unknown, info: ConnInfo, side: Side): AppError {
  const endpoint = describeEndpoint(info);
  const problem = (
    thrown instanceof AggregateError
      ? thrown.errors.map((e) => String(e.message)).join('; ')
      : thrown instanceof Error
        ? thrown.message
        : String(thrown)
  ).trim();
  const state = sqlstateOf(thrown);
  if (state === SQLSTATE.invalidCatalogName)
    return new AppError('DATABASE_MISSING', { side, endpoint, database: info.database }, thrown);
  if (state !== undefined && /^28/.test(state)) {
    const remedy =
      state === '28P01'
        ? 'Check the password (PGPASSWORD, the password file, or the connection string).'
        : 'Check the user name and pg_hba.conf of that server.';
    return new AppError(
      'CONNECT_REFUSED_LOGIN',
      { side, endpoint, user: info.user, problem, remedy },
      thrown,
    );
  }
  return new AppError('CONNECT_FAILED', { side, endpoint, problem, remedy: remedyFor(thrown) }, thrown);
}

function remedyFor(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return 'Check the host name and the name service of this machine.';
  if (code === 'ECONNREFUSED')
    return 'Check host and port, and that the server listens there (listen_addresses).';
  if (code === 'ENOENT') return 'Check the socket directory: no server listens there.';
  return 'Check host, port, firewall and sslmode.';
}

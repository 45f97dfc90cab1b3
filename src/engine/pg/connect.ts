/**
 * Opens sessions: tries the hosts in their order, speaks TLS as sslmode asks, sets what every session of ours sets, and turns
 * the driver's complaints into errors of the table.
 */
import type pg from 'pg';
import { AppError } from '../../base/errors/app-error.ts';
import { describeEndpoint, type ConnInfo, type HostPort, type Side } from './conninfo/conninfo.ts';
import { tlsAttempts, type TlsAttempt } from './conninfo/tls.ts';
import { endsTheSearch, explainFailure, NO_PASSWORD } from './connect-failure.ts';
import { literal } from './ident.ts';
import { Session } from './session.ts';
import { sessionSettings } from './settings.ts';

export interface ConnectOptions {
  readonly side: Side;
  /** Shown in pg_stat_activity: `opendts:<task>:<role>`. */
  readonly applicationName: string;
  readonly replication?: boolean;
}

/**
 * Opens one session on the first host that answers and has the role `target_session_attrs` asks for. Throws CONNECT_FAILED,
 * CONNECT_REFUSED_LOGIN, DATABASE_MISSING, NO_REPLICATION_RIGHT, or CONNINFO_INVALID for a certificate file that cannot be used.
 */
export async function connect(info: ConnInfo, options: ConnectOptions): Promise<Session> {
  const passes =
    info.targetSessionAttrs === 'prefer-standby'
      ? (['standby', 'any'] as const)
      : ([info.targetSessionAttrs] as const);
  let failures: AppError[] = [];
  for (const wanted of passes) {
    failures = [];
    for (const host of info.hosts) {
      try {
        return await openFit(info, host, wanted, options);
      } catch (thrown) {
        const failure = explainFailure(thrown, { info, host, ...options });
        // A refused login is the same answer from every host; asking on could lock the account.
        if (endsTheSearch(failure, thrown)) throw failure;
        failures.push(failure);
      }
    }
  }
  throw summarize(failures, info, options.side);
}

function summarize(failures: readonly AppError[], info: ConnInfo, side: Side): AppError {
  const [first] = failures;
  if (first && failures.length === 1) return first;
  const problem = failures.map(({ facts }) => `${facts.endpoint}: ${facts.problem}`).join('; ');
  const remedy = first?.remedy ?? '';
  return new AppError('CONNECT_FAILED', { side, endpoint: describeEndpoint(info), problem, remedy }, first);
}

/** A prepared session on this host; throws when it has another role than wanted. */
async function openFit(
  info: ConnInfo,
  host: HostPort,
  wanted: ConnInfo['targetSessionAttrs'],
  options: ConnectOptions,
): Promise<Session> {
  const session = await openHost(info, host, options);
  try {
    const unfit = await lacksRole(session, wanted);
    if (unfit !== null)
      throw new AppError('CONNECT_FAILED', {
        side: options.side,
        endpoint: describeEndpoint({ ...info, hosts: [host] }),
        problem: `${unfit}, and target_session_attrs=${wanted} is asked for`,
        remedy: 'Check which server has which role, or give another target_session_attrs.',
      });
    await prepare(session);
    return session;
  } catch (thrown) {
    await session.end();
    throw thrown;
  }
}

async function openHost(info: ConnInfo, host: HostPort, options: ConnectOptions): Promise<Session> {
  let last: unknown = null;
  for (const attempt of tlsAttempts(info.ssl, host, options.side)) {
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
  const password = host.password ?? info.password;
  const config = {
    host: host.address ?? host.host,
    port: host.port,
    user: info.user,
    database: info.database,
    // A function, because for an empty value the driver would look at PGPASSWORD and at a password file by itself.
    password: () => {
      if (password === null) throw new Error(NO_PASSWORD);
      return password;
    },
    ssl: attempt.ssl,
    // Given even when it is the default, or the driver would look at PGSSLNEGOTIATION.
    sslnegotiation: attempt.ssl ? info.ssl.negotiation : 'postgres',
    application_name: options.applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    connectionTimeoutMillis: info.connectTimeoutSeconds * 1000,
    ...(info.options ? { options: info.options } : {}),
    ...(options.replication ? { replication: 'database' } : {}),
  };
  return config;
}

/** Settings go in one simple-protocol string, which replication connections accept too. */
async function prepare(session: Session): Promise<void> {
  const settings = Object.entries(sessionSettings(session.version));
  await session.query(settings.map(([name, value]) => `SET ${name} = ${literal(value)}`).join('; '));
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

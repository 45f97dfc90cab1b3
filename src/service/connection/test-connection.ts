/** Tries a connection step by step, each with its time; the first step that fails says why, in the words of the error table. */
import { performance } from 'node:perf_hooks';
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import { TEST_STEPS, type TestStep } from '../../contract/api/connection-operations.ts';
import { answersWithin } from '../../engine/pg/answers-within.ts';
import { explainFailure } from '../../engine/pg/connect-failure.ts';
import type { ConnInfo, HostPort } from '../../engine/pg/conninfo/conninfo.ts';
import { tlsAttempts } from '../../engine/pg/conninfo/tls.ts';
import { readServerFacts } from '../../engine/pg/server-facts.ts';
import type { Session } from '../../engine/pg/session.ts';
import type { EndpointPolicy } from './endpoint-policy.ts';
import { pinned, reach } from './reach.ts';
import { describeTls, openTcp, openTls } from './tls-probe.ts';

type StepName = TestStep['step'];
type Verdict = Pick<TestStep, 'result' | 'detail'>;

const passed = (detail: string): Verdict => ({ result: 'passed', detail });
const alert = (detail: string): Verdict => ({ result: 'alert', detail });

/** The oldest version whose changes can be read from a publication. */
const OLDEST = 100_000;

/** A test that somebody watches: it ends in time whatever connect_timeout says. */
const LONGEST_MS = 15_000;

export async function testConnection(info: ConnInfo, policy: EndpointPolicy): Promise<TestStep[]> {
  const test = new ConnectionTest(info, policy);
  const steps: TestStep[] = [];
  try {
    for (const step of TEST_STEPS) {
      const began = performance.now();
      const taken = () => Math.round(performance.now() - began);
      try {
        steps.push({ step, ...(await test.run(step)), milliseconds: taken(), error: null });
      } catch (thrown) {
        const { code, message, remedy } = test.explain(thrown);
        steps.push({
          step,
          result: 'failed',
          detail: '',
          milliseconds: taken(),
          error: { code, message, remedy },
        });
        break;
      }
    }
  } finally {
    await test.end();
  }
  return [...steps, ...TEST_STEPS.slice(steps.length).map(notReached)];
}

function notReached(step: StepName): TestStep {
  return { step, result: 'skipped', milliseconds: 0, detail: 'not reached', error: null };
}

/** Rejects after so long, as the network would. */
function late(ms: number): Promise<never> {
  const error = Object.assign(new Error('timeout expired'), { code: 'ETIMEDOUT' });
  return new Promise((_, reject) => AbortSignal.timeout(ms).addEventListener('abort', () => reject(error)));
}

class ConnectionTest {
  private readonly info: ConnInfo;
  private readonly policy: EndpointPolicy;
  private readonly timeoutMs: number;
  /** What the names stand for; what is connected to. */
  private hosts: readonly HostPort[] = [];
  private session: Session | null = null;

  constructor(info: ConnInfo, policy: EndpointPolicy) {
    const seconds = info.connectTimeoutSeconds;
    this.timeoutMs = seconds === 0 ? LONGEST_MS : Math.min(seconds * 1000, LONGEST_MS);
    this.info = { ...info, connectTimeoutSeconds: Math.ceil(this.timeoutMs / 1000) };
    this.policy = policy;
  }

  run(step: StepName): Promise<Verdict> {
    switch (step) {
      case 'dns':
        return this.dns();
      case 'tcp':
        return this.tcp();
      case 'tls':
        return this.tls();
      case 'login':
        return this.login();
      case 'version':
        return this.version();
      case 'rights':
        return this.rights();
      case 'settings':
        return this.settings();
    }
  }

  private async dns(): Promise<Verdict> {
    const found = await Promise.race([pinned(this.info, this.policy), late(this.timeoutMs)]);
    this.hosts = found.hosts;
    return passed(
      this.hosts.map(({ host, address }) => (host === address ? host : `${host} is ${address}`)).join(', '),
    );
  }

  /** Each address; one that answers is enough. */
  private async tcp(): Promise<Verdict> {
    const tried = await Promise.allSettled(
      this.hosts.map(async (host) => (await openTcp(host, this.timeoutMs)).destroy()),
    );
    const answering = this.hosts.filter((_, at) => tried[at]?.status === 'fulfilled');
    const failure = tried.find((one) => one.status === 'rejected');
    if (answering.length === 0) throw failure?.reason ?? new Error('no address');
    const detail = `${answering.map(({ address, port }) => `${address}:${port}`).join(', ')} answers`;
    const silent = this.hosts.length - answering.length;
    this.hosts = [...answering, ...this.hosts.filter((host) => !answering.includes(host))];
    return silent === 0 ? passed(detail) : alert(`${detail}, ${silent} more do not`);
  }

  private async tls(): Promise<Verdict> {
    const [host] = this.hosts;
    const attempts = host ? tlsAttempts(this.info.ssl, host, 'source') : [];
    const encrypted = attempts.find(({ ssl }) => ssl !== false)?.ssl;
    if (!host || !encrypted)
      return { result: 'skipped', detail: `sslmode=${this.info.ssl.mode}: not asked for` };
    if (this.info.ssl.negotiation === 'direct')
      return { result: 'skipped', detail: 'sslnegotiation=direct: part of the login' };
    const socket = await openTcp(host, this.timeoutMs);
    try {
      const secure = await openTls(socket, encrypted, this.timeoutMs);
      if (secure !== null) return passed(describeTls(secure));
      if (attempts.length > 1)
        return alert(`the server has none; sslmode=${this.info.ssl.mode} goes on without`);
      throw new Error('The server does not support SSL connections');
    } finally {
      socket.destroy();
    }
  }

  private async login(): Promise<Verdict> {
    const { session, identity } = await reach({ ...this.info, hosts: this.hosts }, this.policy, {
      side: 'source',
      applicationName: 'opendts:test',
    });
    this.session = session;
    await readServerFacts(session);
    const role = identity.isStandby ? 'a standby' : 'a primary';
    return passed(`${session.user} in ${identity.database}, ${role}, system ${identity.systemIdentifier}`);
  }

  private async version(): Promise<Verdict> {
    const { text } = await this.ask('SELECT pg_catalog.left(pg_catalog.version(), 80) AS text');
    if (this.open.version >= OLDEST) return passed(text ?? '');
    return alert(`${text}: before PostgreSQL 10 changes cannot be followed`);
  }

  private async rights(): Promise<Verdict> {
    const row = await this.ask(
      `SELECT r.rolsuper::pg_catalog.text AS super, r.rolreplication::pg_catalog.text AS replication,
              pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')::pg_catalog.text AS may_create
         FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`,
    );
    const can = (what: string, yes: boolean) => `${yes ? 'may' : 'may not'} ${what}`;
    const replicates = row.super === 'true' || row.replication === 'true';
    const creates = row.may_create === 'true';
    const detail = `${can('use replication', replicates)}, ${can('create in the database', creates)}`;
    // As a source it needs the one, as a target the other: which it will be is not known here.
    return replicates || creates ? passed(detail) : alert(detail);
  }

  private async settings(): Promise<Verdict> {
    const row = await this.ask(
      `SELECT pg_catalog.current_setting('wal_level') AS level,
              pg_catalog.current_setting('max_replication_slots') AS slots,
              (SELECT count(*) FROM pg_catalog.pg_replication_slots)::pg_catalog.text AS slots_used,
              pg_catalog.current_setting('max_wal_senders') AS senders,
              pg_catalog.current_setting('max_connections') AS connections`,
    );
    const detail = `wal_level = ${row.level}, ${row.slots_used} of ${row.slots} slots in use, ${row.senders} wal senders, ${row.connections} connections`;
    return row.level === 'logical'
      ? passed(detail)
      : alert(`${detail}: changes of this server cannot be followed`);
  }

  private get open(): Session {
    if (this.session === null) throw new Error('not logged in');
    return this.session;
  }

  private ask(sql: string) {
    return answersWithin(this.open, LONGEST_MS, () => this.open.one(sql));
  }

  explain(thrown: unknown): AppError {
    const [host = this.info.hosts[0]] = this.hosts;
    const error =
      thrown instanceof AppError || !host
        ? toAppError(thrown)
        : explainFailure(thrown, { info: this.info, host, side: 'source' });
    // The engine knows two sides; a connection is neither yet.
    return error.facts.side === 'source'
      ? new AppError(error.code, { ...error.facts, side: 'database' }, error.cause)
      : error;
  }

  async end(): Promise<void> {
    await this.session?.end();
  }
}

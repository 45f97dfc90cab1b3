/** A node of the service for tests: its store in a fresh database, its API on a port of its own, and accounts with tokens. */
import { randomBytes, randomUUID } from 'node:crypto';
import { openLog } from '../src/base/runtime/log.ts';
import { openTracing, type Tracing } from '../src/base/tracing/tracing.ts';
import type { Role } from '../src/contract/api/roles.ts';
import { hashOf, newApiToken } from '../src/service/account/tokens.ts';
import { openNode, type NodeOptions, type ServiceNode } from '../src/service/node.ts';
import { findGroup } from '../src/service/store/account/group/find-group.ts';
import { insertAccount } from '../src/service/store/account/insert-account.ts';
import { insertGroup } from '../src/service/store/account/group/insert-group.ts';
import { insertToken } from '../src/service/store/account/token/insert-token.ts';
import { putMember } from '../src/service/store/account/group/put-member.ts';
import { setPassword } from '../src/service/store/account/set-password.ts';
import { httpServer } from '../src/surface/http/server.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import type { Major } from './global-setup.ts';

export const METRICS_TOKEN = 'a token of twenty letters or more'.replaceAll(' ', '-');

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The document; tests look into it as they like. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

export interface Sent {
  readonly token?: string;
  readonly cookie?: string;
  readonly csrf?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface TestService extends AsyncDisposable {
  readonly node: ServiceNode;
  readonly database: TestDatabase;
  readonly tracing: Tracing;
  readonly url: string;
  /** All lines of its log. */
  readonly log: () => string;
  /** `GET /groups` below /api/v1. */
  send(request: string, sent?: Sent): Promise<Answer>;
  /** An account with a token, and a role in a group (made when missing). */
  account(options?: {
    group?: string;
    role?: Role;
    isAdministrator?: boolean;
  }): Promise<{ id: string; name: string; token: string }>;
}

/** `collector`: where its traces go. */
export async function startService(
  major: Major,
  { collector, ...options }: Partial<NodeOptions> & { collector?: string } = {},
): Promise<TestService> {
  const database = await freshDatabase(major);
  let lines = '';
  const log = openLog({ level: 'debug', stream: { write: (line) => void (lines += line) } });
  const tracing = await openTracing({
    env: collector === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: collector },
    log,
    version: '0.0.0',
    flushMs: 5_000,
  });
  const node = await openNode({
    databaseUrl: database.uri,
    dataDir: '/nowhere',
    key: { text: randomBytes(32).toString('base64') },
    secretDir: null,
    certificateDir: null,
    networks: [],
    env: {},
    log,
    auditSink: null,
    auditRetentionDays: null,
    ...options,
  });
  const app = httpServer(node.services, {
    isSecure: false,
    trustedProxies: [],
    version: '0.0.0',
    log,
    metricsToken: () => METRICS_TOKEN,
    tracing,
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const { store } = node.services;
  return {
    node,
    database,
    tracing,
    url,
    log: () => lines,
    send: (request, sent) => send(url, request, sent),
    account: async ({ group, role, isAdministrator = false } = {}) => {
      const id = randomUUID();
      const name = `user-${id.slice(0, 8)}`;
      await insertAccount(store, { id, name, passwordHash: 'none', isAdministrator });
      await setPassword(store, { accountId: id, hash: 'none', mustChange: false });
      const { token, prefix } = newApiToken();
      await insertToken(store, {
        id: randomUUID(),
        accountId: id,
        name: 'test',
        prefix,
        hash: hashOf(token),
        days: 1,
      });
      if (group !== undefined && role !== undefined) {
        const groupId =
          (await findGroup(store, group))?.id ?? (await insertGroup(store, randomUUID(), group))?.id ?? '';
        await putMember(store, { groupId, accountId: id, role, rights: [] });
      }
      return { id, name, token };
    },
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await tracing[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

async function send(
  url: string,
  request: string,
  { token, cookie, csrf, headers, body }: Sent = {},
): Promise<Answer> {
  const [method = 'GET', path = '/'] = request.split(' ');
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(cookie ? { cookie } : {}),
      ...(csrf ? { 'x-csrf-token': csrf } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  // It would go on for ever.
  const isStream = response.headers.get('content-type') === 'text/event-stream';
  if (isStream) await response.body?.cancel();
  const text = isStream ? '' : await response.text();
  return { status: response.status, headers: response.headers, text, body: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The API of the service with real requests: who may do what, sessions and tokens, and what never gets out. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Operation } from '../src/contract/api/operation.ts';
import { OPERATIONS, type OperationName } from '../src/contract/api/operations.ts';
import { ROLES } from '../src/contract/api/roles.ts';
import { isAllowed } from '../src/service/account/permissions.ts';
import { cliHome } from './spawn-cli.ts';
import { startService, type Answer, type TestService } from './service.ts';

const SECRET = 'MARKER-of-the-secret';
const names = Object.keys(OPERATIONS) as OperationName[];

let service: TestService;
let admin: string;
beforeAll(async () => {
  // The oldest version that the store may be on; test/service-connections.pg.test.ts runs on the newest.
  service = await startService(12);
  admin = (await service.account({ isAdministrator: true })).token;
});
afterAll(() => service[Symbol.asyncDispose]());

const path = (...parts: string[]) => parts.map((part) => `/${encodeURIComponent(part)}`).join('');

async function group(): Promise<string> {
  const name = `group ${randomUUID().slice(0, 8)}`;
  const made = await service.send('POST /groups', { token: admin, body: { name } });
  expect(made.status).toBe(201);
  return name;
}

async function connection(group: string, more: Record<string, unknown> = {}): Promise<Answer> {
  const body = { name: 'shop', conninfo: 'postgresql://app@127.0.0.1:1/shop', password: SECRET, ...more };
  return service.send(`POST ${path('groups', group, 'connections')}`, { token: admin, body });
}

/** A request for an operation with an input that is good enough to be judged. */
function request(name: OperationName, groupName: string): { line: string; body: unknown } {
  const { method, path: way }: Operation = OPERATIONS[name];
  const filled = way
    .replace('{group}', encodeURIComponent(groupName))
    .replace('{connection}', 'shop')
    .replace('{account}', 'nobody-of-this-name')
    .replace('{token}', 'nothing-of-this-name')
    .replace('{task}', 'nothing-of-this-name')
    .replace('{taskGroup}', 'nothing-of-this-name');
  const bodies: Partial<Record<OperationName, unknown>> = {
    'member.put': { role: 'viewer' },
    'connection.create': {
      name: `c-${randomUUID().slice(0, 8)}`,
      conninfo: 'postgresql://app@db.example/shop',
    },
    'connection.update': { version: 999 },
    'account.create': { name: `n-${randomUUID().slice(0, 8)}` },
    'account.update': { version: 1 },
    'group.create': { name: `g-${randomUUID().slice(0, 8)}` },
    'token.create': { name: `t-${randomUUID().slice(0, 8)}` },
    'task.configure': { version: 1 },
    'task.rename': { version: 1, name: 'other' },
    'task.throttle': { version: 1, throttle: {}, streamThrottle: {} },
    'task.setRetry': { version: 1, connectMinutes: 60, otherMinutes: 20 },
    'task.chooseForTables': { tables: ['public.t'], wish: 'resume' },
    'password.change': { current: 'wrong', password: 'long enough for it' },
  };
  const query = name === 'connection.delete' || name === 'task.delete' ? '?version=999' : '';
  return {
    line: `${method} ${filled}${query}`,
    body: method === 'GET' || method === 'DELETE' ? undefined : (bodies[name] ?? {}),
  };
}

/** Refused for want of a right, and not for something else. */
const isRefused = ({ body, status }: Answer, groupName: string) =>
  body?.code === 'FORBIDDEN' ||
  (status === 404 && body?.facts?.kind === 'group' && body.facts.name === groupName);

describe('every operation', () => {
  it('is allowed to each role in its own group exactly as the table says, and to nobody in another', async () => {
    const [own, other] = [await group(), await group()];
    await connection(own);
    await connection(other);
    for (const role of ROLES) {
      const { token } = await service.account({ group: own, role });
      for (const name of names) {
        // These end the session or are for whoever knows a password.
        if (name === 'session.create' || name === 'password.change') continue;
        const standing = { isLoggedIn: true, isAdministrator: false, membership: { role, rights: [] } };
        const here = request(name, own);
        const answer = await service.send(here.line, { token, body: here.body });
        expect([role, name, isRefused(answer, own)]).toEqual([role, name, !isAllowed(name, standing)]);
        if (!OPERATIONS[name].path.startsWith('/groups/{group}')) continue;
        const there = request(name, other);
        const elsewhere = await service.send(there.line, { token, body: there.body });
        expect([role, name, elsewhere.status, elsewhere.body.code]).toEqual([role, name, 404, 'NOT_FOUND']);
        expect(elsewhere.body.facts).toEqual({ kind: 'group', name: other });
      }
    }
  }, 240_000);

  it('is refused to who has not logged in, and to tokens that are wrong, revoked, expired, or of a disabled account', async () => {
    const own = await group();
    const revoked = await service.account({ group: own, role: 'admin' });
    expect((await service.send('DELETE /tokens/test', { token: revoked.token })).status).toBe(200);
    const expired = await service.account({ group: own, role: 'admin' });
    await service.database.session.query(
      `UPDATE opendts.api_token SET expires_at = now() WHERE account_id = '${expired.id}'`,
    );
    const disabled = await service.account({ group: own, role: 'admin' });
    const off = await service.send(`PATCH /accounts/${disabled.name}`, {
      token: admin,
      body: { version: 2, isDisabled: true },
    });
    expect(off.status).toBe(200);
    const good = (await service.account({ group: own, role: 'admin' })).token;
    const tampered = `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`;
    for (const token of [
      undefined,
      revoked.token,
      expired.token,
      disabled.token,
      tampered,
      'opendts_',
      "' OR 1=1 --",
    ])
      for (const name of names.filter((one) => OPERATIONS[one].access !== 'anyone')) {
        const { line, body } = request(name, own);
        const answer = await service.send(line, { ...(token ? { token } : {}), body });
        expect([name, answer.status, answer.body.code]).toEqual([name, 401, 'NOT_LOGGED_IN']);
      }
    const basic = await service.send('GET /groups', { headers: { authorization: 'Basic YWRtaW46YWRtaW4=' } });
    expect(basic.status).toBe(401);
  }, 120_000);
});

describe('what belongs to a group', () => {
  it('is not found by way of another group, by its id either', async () => {
    const [own, other] = [await group(), await group()];
    const { id } = (await connection(other)).body;
    const { token } = await service.account({ group: own, role: 'admin' });
    const where = path('groups', own, 'connections', id);
    const tries = [
      await service.send(`GET ${where}`, { token }),
      await service.send(`PATCH ${where}`, { token, body: { version: 1, region: 'mine' } }),
      await service.send(`DELETE ${where}?version=1`, { token }),
      await service.send(`POST ${where}/test`, { token }),
    ];
    for (const { status, body } of tries)
      expect([status, body.code, body.facts.kind]).toEqual([404, 'NOT_FOUND', 'connection']);
    expect(
      (await service.send(`GET ${path('groups', other, 'connections', id)}`, { token: admin })).body.region,
    ).toBeNull();
    expect((await service.send(`GET ${path('groups', own, 'audit')}`, { token })).text).not.toContain(other);
  });
});

describe('a person', () => {
  const password = 'a password of my own';

  async function person(): Promise<{ name: string; once: string }> {
    const name = `person-${randomUUID().slice(0, 8)}`;
    const made = await service.send('POST /accounts', { token: admin, body: { name } });
    return { name, once: made.body.oneTimePassword };
  }

  const login = (name: string, given: string) =>
    service.send('POST /session', { body: { name, password: given } });
  const cookieOf = ({ headers }: Answer) => (headers.get('set-cookie') ?? '').split(';')[0] ?? '';

  it('has to change a one-time password before anything else, and their other sessions end with it', async () => {
    const { name, once } = await person();
    const [first, second] = [await login(name, once), await login(name, once)];
    expect(first.headers.get('set-cookie')).toMatch(/HttpOnly; SameSite=Strict/);
    expect(first.body.account).toMatchObject({ name, mustChangePassword: true });
    const [cookie, csrf] = [cookieOf(first), first.body.csrfToken];
    expect((await service.send('GET /groups', { cookie })).body.code).toBe('PASSWORD_CHANGE_NEEDED');
    const change = (body: unknown) => service.send('PUT /password', { cookie, csrf, body });
    expect((await change({ current: once, password: 'short' })).body.code).toBe('INPUT_INVALID');
    expect((await change({ current: once, password: once })).body.code).toBe('PASSWORD_SAME');
    expect((await change({ current: 'wrong', password })).body.code).toBe('LOGIN_FAILED');
    const changed = await change({ current: once, password });
    expect(changed.status).toBe(200);
    expect((await service.send('GET /groups', { cookie: cookieOf(changed) })).status).toBe(200);
    for (const old of [cookie, cookieOf(second)])
      expect((await service.send('GET /groups', { cookie: old })).status).toBe(401);
    expect((await login(name, once)).status).toBe(401);
  }, 60_000);

  it('is let in by the cookie of a session until it ends, and changes nothing without its CSRF token', async () => {
    const { name, once } = await person();
    const first = await login(name, once);
    const changed = await service.send('PUT /password', {
      cookie: cookieOf(first),
      csrf: first.body.csrfToken,
      body: { current: once, password },
    });
    const cookie = cookieOf(changed);
    const { csrfToken: csrf } = (await service.send('GET /session', { cookie })).body;
    const make = (given: object) =>
      service.send('POST /tokens', { cookie, body: { name: 'mine' }, ...given });
    expect((await make({})).body.code).toBe('CSRF_TOKEN_WRONG');
    expect((await make({ csrf: first.body.csrfToken })).body.code).toBe('CSRF_TOKEN_WRONG');
    expect((await make({ csrf })).status).toBe(201);
    expect((await service.send('GET /groups', { cookie: `${cookie}x` })).status).toBe(401);
    await service.database.session.query(
      "UPDATE opendts.login_session SET expires_at = now() + interval '1 hour'",
    );
    expect((await service.send('GET /groups', { cookie })).status).toBe(200);
    const [{ slid }] = (await service.database.session.query(
      "SELECT bool_or(expires_at > now() + interval '11 hours') AS slid FROM opendts.login_session",
    )) as [{ slid: string }];
    expect(slid).toBe('t');
    const expire = (when: string) =>
      service.database.session.query(`UPDATE opendts.login_session SET expires_at = now() ${when}`);
    await expire('');
    expect((await service.send('GET /groups', { cookie })).status).toBe(401);
    await expire("+ interval '1 hour', created_at = now() - interval '8 days'");
    expect((await service.send('GET /groups', { cookie })).status).toBe(200);
    // However much it was used, it has ended by now.
    expect((await service.send('GET /groups', { cookie })).status).toBe(401);
    await expire("+ interval '1 hour', created_at = now()");
    const out = await service.send('DELETE /session', { cookie, csrf });
    expect(out.headers.get('set-cookie')).toContain('Max-Age=0');
    expect((await service.send('GET /groups', { cookie })).status).toBe(401);
  }, 60_000);

  it('who guesses is stopped, by name, however many try at once', async () => {
    const { name, once } = await person();
    const tries = await Promise.all(Array.from({ length: 14 }, () => login(name.toUpperCase(), 'a guess')));
    const codes = tries.map(({ body }) => String(body.code)).toSorted();
    expect(codes).toEqual([...Array(4).fill('LOGIN_BLOCKED'), ...Array(10).fill('LOGIN_FAILED')]);
    const blocked = await login(name, once);
    expect([blocked.status, blocked.body.code]).toEqual([429, 'LOGIN_BLOCKED']);
    expect(Number(blocked.headers.get('retry-after'))).toBeGreaterThan(800);
    await service.database.session.query(
      "UPDATE opendts.login_attempt SET first_at = now() - interval '16 minutes'",
    );
    expect((await login(name, once)).status).toBe(200);
    await login(name, 'a guess');
    await service.database.session.query('UPDATE opendts.login_attempt SET attempts = 50');
    expect((await login(name, once)).status).toBe(429);
    const reset = await service.send(`POST ${path('accounts', name, 'password')}`, { token: admin });
    await service.database.session.query("DELETE FROM opendts.login_attempt WHERE subject LIKE 'address %'");
    expect((await login(name, reset.body.oneTimePassword)).status).toBe(200);
  }, 120_000);

  it('who has lost the password gets another from whoever administers, or from whoever runs the server', async () => {
    const { name, once } = await person();
    const cookie = cookieOf(await login(name, once));
    const reset = await service.send(`POST ${path('accounts', name, 'password')}`, { token: admin });
    expect((await service.send('GET /session', { cookie })).status).toBe(401);
    expect((await login(name, once)).status).toBe(401);
    expect((await login(name, reset.body.oneTimePassword)).body.account.mustChangePassword).toBe(true);
    using home = cliHome();
    const { stdout } = await home.run(['reset-password', name], {
      env: { DATABASE_URL: service.database.uri },
    });
    const [, given = ''] = /^one-time password of \S+: (\S+) /.exec(stdout) ?? [];
    expect((await login(name, given)).status).toBe(200);
    const { items } = (await service.send('GET /audit?limit=3', { token: admin })).body;
    expect(items[1]).toMatchObject({ operation: 'account.resetPassword', via: 'command line', object: name });
  }, 60_000);

  it('who administers cannot leave nobody who does', async () => {
    await using own = await startService(15);
    const { name, token } = await own.account({ isAdministrator: true });
    const stepDown = (account: string, version: number) =>
      own.send(`PATCH ${path('accounts', account)}`, { token, body: { version, isAdministrator: false } });
    expect((await stepDown('admin', 1)).status).toBe(200);
    expect((await stepDown(name, 2)).body.code).toBe('LAST_ADMINISTRATOR');
    const off = await own.send(`PATCH ${path('accounts', name)}`, {
      token,
      body: { version: 2, isDisabled: true },
    });
    expect(off.body.code).toBe('LAST_ADMINISTRATOR');
    expect((await own.send('GET /accounts', { token })).status).toBe(200);
  });
});

describe('what is saved', () => {
  it('is not readable with its secret by anybody: not in answers, the log of the server, the audit log, or the store', async () => {
    const own = await group();
    const made = await connection(own, {
      conninfo: `postgresql://app:${SECRET}@127.0.0.1:1/shop`,
      password: undefined,
    });
    expect(made.body).toMatchObject({
      secret: 'sealed',
      conninfo: 'postgresql://app@127.0.0.1:1/shop',
      user: 'app',
    });
    const where = path('groups', own, 'connections', 'shop');
    const everything = [
      made,
      await service.send(`PATCH ${where}`, { token: admin, body: { version: 1, password: `${SECRET}2` } }),
      await service.send(`PATCH ${where}`, { token: admin, body: { version: 1, password: `${SECRET}3` } }),
      await service.send(`PATCH ${where}`, {
        token: admin,
        body: { version: 'x', password: SECRET, nothing: SECRET },
      }),
      await service.send(`GET ${where}`, { token: admin }),
      await service.send(`GET ${path('groups', own, 'connections')}`, { token: admin }),
      await service.send(`POST ${where}/test`, { token: admin }),
      await connection(own, { conninfo: `postgresql://app:${SECRET}@h:port/d` }),
      await connection(own, { conninfo: `host=h password=${SECRET} x` }),
      await connection(own, { name: 'other', conninfo: 'postgresql://app@h/d', passwordFile: '/etc/passwd' }),
      await service.send('POST /session', { body: { name: 'admin', password: SECRET } }),
      await service.send('GET /audit?limit=200', { token: admin }),
      await service.send('GET /openapi.json'),
    ];
    expect(everything.map(({ status }) => status)).toEqual([
      201, 200, 409, 400, 200, 200, 200, 400, 400, 400, 401, 200, 200,
    ]);
    const [{ stored }] = (await service.database.session.query(
      "SELECT concat((SELECT string_agg(c::text, '') FROM opendts.connection c), (SELECT string_agg(i::text, '') FROM opendts.idempotency i), (SELECT string_agg(a::text, '') FROM opendts.audit a)) AS stored",
    )) as [{ stored: string }];
    expect(stored.length).toBeGreaterThan(100);
    for (const text of [...everything.map((one) => one.text), service.log(), stored])
      expect(text).not.toContain(SECRET);
  });

  it('keeps its password to the server that it was given for', async () => {
    const own = await group();
    await connection(own);
    const where = path('groups', own, 'connections', 'shop');
    const change = (body: object) => service.send(`PATCH ${where}`, { token: admin, body });
    expect((await change({ version: 1, conninfo: 'postgresql://app@evil.example/shop' })).body.code).toBe(
      'SECRET_NEEDED',
    );
    expect((await change({ version: 1, conninfo: 'postgresql://other@127.0.0.1:1/shop' })).body.code).toBe(
      'SECRET_NEEDED',
    );
    expect((await change({ version: 1, region: 'cn-hangzhou' })).body).toMatchObject({
      version: 2,
      region: 'cn-hangzhou',
    });
    const moved = await change({
      version: 2,
      conninfo: 'postgresql://app@new.example/shop',
      password: 'other',
    });
    expect(moved.body).toMatchObject({ version: 3, hosts: [{ host: 'new.example', port: 5432 }] });
    expect((await change({ version: 2, region: null })).body.code).toBe('CHANGED_MEANWHILE');
    const forget = (version: number) => service.send(`DELETE ${where}?version=${version}`, { token: admin });
    expect((await forget(2)).body.code).toBe('CHANGED_MEANWHILE');
    expect((await forget(3)).status).toBe(200);
  });

  it('may have any name: metacharacters of SQL, of paths and of JSON stay what they are', async () => {
    const odd = [
      `'; DROP SCHEMA opendts CASCADE; --`,
      `"x"`,
      'a/b?c=d#e',
      '%2F',
      '$1',
      '\\',
      '{group}',
      '..x',
      'héllo 世界 🚚',
      "O'Neil $$",
    ];
    for (const name of odd) {
      const madeGroup = await service.send('POST /groups', { token: admin, body: { name } });
      expect([name, madeGroup.status]).toEqual([name, 201]);
      const made = await connection(name, { name, instanceId: name, region: name });
      expect(made.body).toMatchObject({ name, instanceId: name, region: name });
      const shown = await service.send(`GET ${path('groups', name, 'connections', name)}`, { token: admin });
      expect(shown.body).toEqual({ ...made.body, usedBy: [] });
      const token = await service.send('POST /tokens', { token: admin, body: { name } });
      expect((await service.send(`DELETE ${path('tokens', name)}`, { token: admin })).body.id).toBe(
        token.body.id,
      );
      expect(
        (await service.send(`GET ${path('groups', name, 'audit')}`, { token: admin })).body.items.length,
      ).toBe(1);
    }
    // A new account costs a hash that is meant to be slow.
    for (const name of odd.slice(0, 4)) {
      const account = await service.send('POST /accounts', { token: admin, body: { name } });
      expect([name, account.status]).toEqual([name, 201]);
      const member = await service.send(`PUT ${path('groups', name, 'members', name)}`, {
        token: admin,
        body: { role: 'viewer' },
      });
      expect(member.body).toMatchObject({ account: name, role: 'viewer' });
    }
    for (const name of ['', ' x', 'x\n', '\u0000', '..', randomUUID(), 'x'.repeat(101)])
      expect((await service.send('POST /groups', { token: admin, body: { name } })).body.code).toBe(
        'INPUT_INVALID',
      );
  }, 60_000);

  it('is listed page by page', async () => {
    const own = await group();
    for (const name of ['b', 'a', 'd', 'c', 'E']) await connection(own, { name });
    const list = (query: string) =>
      service.send(`GET ${path('groups', own, 'connections')}?${query}`, { token: admin });
    const first = await list('limit=2');
    const second = await list(`limit=2&cursor=${first.body.nextCursor}`);
    const third = await list(`limit=2&cursor=${second.body.nextCursor}`);
    const shown = [first, second, third].map(({ body }) =>
      body.items.map(({ name }: { name: string }) => name),
    );
    expect(shown).toEqual([['E', 'a'], ['b', 'c'], ['d']]);
    expect(third.body.nextCursor).toBeNull();
    expect((await list('limit=5')).body.nextCursor).toBeNull();
    expect((await list('cursor=rubbish')).body.code).toBe('INPUT_INVALID');
    expect((await list('limit=1000')).body.code).toBe('INPUT_INVALID');
  });

  it('is made once by a request that is sent again, also at the same moment', async () => {
    const own = await group();
    const headers = { 'idempotency-key': randomUUID() };
    const make = (body: object) =>
      service.send(`POST ${path('groups', own, 'connections')}`, {
        token: admin,
        headers,
        body: { name: 'once', conninfo: 'postgresql://app@db.example/shop', password: SECRET, ...body },
      });
    const all = await Promise.all([make({}), make({}), make({})]);
    expect(all.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(new Set(all.map(({ body }) => body.id)).size).toBe(1);
    expect((await make({ password: 'another' })).body.code).toBe('IDEMPOTENCY_KEY_USED');
    const taken = await connection(own, { name: 'once' });
    expect([taken.status, taken.body.code]).toEqual([409, 'NAME_TAKEN']);
  });

  it('is told in the audit log: who, what, before and after, and what failed', async () => {
    const own = await group();
    const user = await service.account({ group: own, role: 'viewer' });
    await connection(own);
    await connection(own);
    const where = path('groups', own, 'connections', 'shop');
    await service.send(`PATCH ${where}`, { token: admin, body: { version: 1, region: 'r' } });
    await service.send(`PATCH ${where}`, { token: user.token, body: { version: 2, region: 'x' } });
    const { items } = (await service.send(`GET ${path('groups', own, 'audit')}`, { token: admin })).body;
    expect(items).toMatchObject([
      {
        account: user.name,
        operation: 'connection.update',
        outcome: 'failed',
        errorCode: 'FORBIDDEN',
        via: 'token',
      },
      {
        operation: 'connection.update',
        object: 'shop',
        outcome: 'done',
        before: { region: null },
        after: { region: 'r' },
      },
      { operation: 'connection.create', object: 'shop', outcome: 'failed', errorCode: 'NAME_TAKEN' },
      { operation: 'connection.create', object: 'shop', outcome: 'done', address: '127.0.0.1' },
    ]);
  });
});

describe('the server', () => {
  it('answers in problem details, with headers that keep browsers from doing harm', async () => {
    const missing = await service.send('GET /nothing');
    expect(missing.status).toBe(404);
    expect(missing.headers.get('content-type')).toContain('application/problem+json');
    expect(missing.body).toMatchObject({
      code: 'NOT_FOUND',
      status: 404,
      type: 'urn:opendts:error:NOT_FOUND',
    });
    expect(missing.headers.get('x-content-type-options')).toBe('nosniff');
    expect(missing.headers.get('content-security-policy')).toContain("default-src 'none'");
    const broken = await fetch(`${service.url}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{',
    });
    expect([broken.status, ((await broken.json()) as { code: string }).code]).toEqual([400, 'INPUT_INVALID']);
    const long = await service.send('POST /session', { body: { name: 'x'.repeat(300_000), password: 'x' } });
    expect(long.status).toBe(413);
  });

  it('says that it lives and that it can serve', async () => {
    for (const path of ['/livez', '/readyz']) {
      const answer = await fetch(`${service.url}${path}`);
      expect([path, answer.status]).toEqual([path, 200]);
    }
  });

  it('describes every operation in its OpenAPI document, whose references lead somewhere', async () => {
    const { body } = await service.send('GET /openapi.json');
    expect(body.openapi).toBe('3.1.0');
    const ids = Object.values(body.paths as Record<string, Record<string, { operationId: string }>>).flatMap(
      (methods) => Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(ids.toSorted()).toEqual(names.toSorted());
    const page = await service.send('GET /docs');
    for (const id of ids) expect(page.text).toContain(`id="${id}"`);
    expect(
      JSON.stringify(body)
        .match(/"\$ref":"([^"]+)"/g)
        ?.every((one) => one.includes('#/components/schemas/Problem')),
    ).toBe(true);
  });
});

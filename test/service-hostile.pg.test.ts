/**
 * What somebody may try at the API who wants what is not theirs, made from the contract: an operation that is added later is tried as well,
 * or a test here says what it lacks.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { pathFields, type Operation } from '../src/contract/api/operation.ts';
import { OPERATIONS, type OperationName } from '../src/contract/api/operations.ts';
import { hashPassword } from '../src/service/account/password.ts';
import { startSession } from '../src/service/account/sessions.ts';
import { csrfTokenOf } from '../src/service/account/tokens.ts';
import { setPassword } from '../src/service/store/account/set-password.ts';
import { startService, type Answer, type TestService } from './service.ts';

const names = Object.keys(OPERATIONS) as OperationName[];
type Fields = Readonly<Record<string, unknown>>;

let service: TestService;
let admin: { readonly id: string; readonly name: string; readonly token: string };
beforeAll(async () => {
  service = await startService(12);
  admin = await service.account({ isAdministrator: true });
});
afterAll(() => service[Symbol.asyncDispose]());

/** Good values of fields; of one that is not here the operation must do without. */
const GOOD: Fields = {
  connection: 'shop',
  task: 'shop',
  taskGroup: 'wave',
  account: 'nobody-of-this-name',
  token: 'nothing-of-this-name',
  worker: 'nothing-of-this-name',
  version: 1,
  name: 'a name',
  conninfo: 'postgresql://app@127.0.0.1:1/shop',
  password: 'long enough for it',
  current: 'long enough for it, but wrong',
  role: 'viewer',
  connectMinutes: 60,
  otherMinutes: 20,
  tables: ['public.t'],
  wish: 'resume',
  throttle: {},
  streamThrottle: {},
};
/** Where a name would be one of two by the second time. */
const NEW: ReadonlySet<OperationName> = new Set([
  'connection.create',
  'account.create',
  'group.create',
  'token.create',
  'task.create',
  'task.clone',
]);

/** Each costs a hash that is meant to be slow. */
const SLOW: ReadonlySet<OperationName> = new Set(['session.create', 'password.change', 'account.create']);

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | false;
}

function schemaOf(name: OperationName): Schema {
  return z.toJSONSchema(OPERATIONS[name].input, { io: 'input', unrepresentable: 'any' }) as Schema;
}

/** An input that is taken: what is needed, and nothing else. */
function goodInput(name: OperationName, group: string): Fields {
  const needed = schemaOf(name).required ?? [];
  const lacking = needed.filter((field) => field !== 'group' && !(field in GOOD));
  expect([name, 'a good value is needed of', lacking]).toEqual([name, 'a good value is needed of', []]);
  const fresh = NEW.has(name) ? { name: `n-${randomUUID().slice(0, 8)}` } : {};
  // The others go by its name.
  if (name === 'task.rename') Object.assign(fresh, { name: 'shop' });
  return { ...Object.fromEntries(needed.map((field) => [field, GOOD[field]])), group, ...fresh };
}

/** Sends it as the contract says; `fields` may hold whatever a client can. */
function call(name: OperationName, given: Fields, as: object = { token: admin.token }): Promise<Answer> {
  const { method, path }: Operation = OPERATIONS[name];
  const inPath = pathFields(path);
  const way = path.replaceAll(/\{(\w+)\}/g, (_, field: string) => encoded(given[field]));
  const rest = Object.entries(given).filter(
    ([field]) => field in schemaOf(name).properties! && !inPath.includes(field),
  );
  if (method !== 'GET' && method !== 'DELETE')
    return service.send(`${method} ${way}`, { ...as, body: Object.fromEntries(rest) });
  const query = rest.map(([field, value]) => `${field}=${encoded(value)}`).join('&');
  return service.send(`${method} ${way}${query === '' ? '' : `?${query}`}`, as);
}

/** As a client would that does not care whether it is text: half a character comes as its bytes. */
function encoded(value: unknown): string {
  return encodeURIComponent(String(value).toWellFormed());
}

/** A group with two connections and a task, of which the one is told from the other by its name. */
async function group(mark = randomUUID().slice(0, 8)) {
  const name = `group ${mark}`;
  await service.send('POST /groups', { token: admin.token, body: { name } });
  const send = (line: string, body: object) => service.send(line, { token: admin.token, body });
  const at = `/groups/${encodeURIComponent(name)}`;
  const connection = await send(`POST ${at}/connections`, {
    name: 'shop',
    region: mark,
    conninfo: GOOD.conninfo,
  });
  const ends = { source: 'shop', target: 'shop' };
  const task = await send(`POST ${at}/tasks`, {
    name: 'shop',
    taskGroup: 'wave',
    environment: mark,
    ...ends,
  });
  await send(`POST ${at}/tasks`, { name: mark, taskGroup: `wave ${mark}`, ...ends });
  expect([connection.status, task.status]).toEqual([201, 201]);
  const member = await service.account({ group: name, role: 'admin' });
  return { name, mark, member, connection: String(connection.body.id), task: String(task.body.id) };
}

/** Every place of a text in what an operation takes, with something that it may be replaced by. */
function* textsIn(schema: Schema, path: readonly string[] = []): Generator<readonly string[]> {
  if (schema.anyOf) for (const one of schema.anyOf) yield* textsIn(one, path);
  if (schema.type === 'string' && schema.enum === undefined) yield path;
  for (const [field, inner] of Object.entries(schema.properties ?? {}))
    yield* textsIn(inner, [...path, field]);
  if (schema.items) yield* textsIn(schema.items, [...path, '0']);
  if (schema.additionalProperties) yield* textsIn(schema.additionalProperties, [...path, 'a key']);
}

function put(into: unknown, [field, ...rest]: readonly string[], value: unknown): unknown {
  if (field === undefined) return value;
  if (field === '0') return [put(undefined, rest, value)];
  const before: Fields = typeof into === 'object' && into !== null ? (into as Fields) : {};
  return { ...before, [field]: put(before[field], rest, value) };
}

const HOSTILE = [
  `'; DROP SCHEMA opendts CASCADE; --`,
  '$1',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '%',
  '\\',
  '{"a": 1}',
  '../../audit',
  'x'.repeat(3000),
];
/** Of a form that the field may have, and beyond what the store can compare. */
const ODD: Readonly<Record<string, readonly string[]>> = {
  version: ['0', '-1', '2147483648', '9007199254740993', 'NaN', '1e3', '0x10', 'true'],
  limit: ['0', '201', '1e9', '-1', ''],
  from: [
    '0000-01-01',
    '0001-01-01',
    '9999-12-31',
    '2026-02-30',
    '2026-01-01T00:00:00+23:59',
    '9999-12-31T23:59:59-23:59',
  ],
  to: ['0000-01-01T00:00:00Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '1970-01-01T00:00:00Z'],
  at: ['9999-12-31T23:59:59-23:59', '2030-01-01T00:00:00+23:59', '0000-01-01T00:00:00Z'],
  cursor: [
    '[null]',
    '["99999999999999999999"]',
    '["999999999999999999"]',
    '["\\u0000"]',
    '["\\ud800"]',
    `["2026-02-30 10:00:00+00 ${randomUUID()}"]`,
    `["2026-02-28 25:00:00+00 ${randomUUID()}"]`,
    `["0000-02-28 10:00:00+00 ${randomUUID()}"]`,
    `["2026-02-28 10:00:00+00 ${'-'.repeat(36)}"]`,
    `["2026-02-28 10:00:00+00 ${randomUUID()}"]`,
    `["'; DROP SCHEMA opendts CASCADE; --"]`,
  ].map((text) => Buffer.from(text).toString('base64url')),
};

describe('whoever asks for anything', () => {
  it('is answered, in every field of every operation, and nothing of it is taken for something else', async () => {
    const own = await group();
    const failed: unknown[] = [];
    let asked = 0;
    for (const name of names) {
      // Only then it has tables that something can be chosen for.
      if (name === 'task.chooseForTables')
        await service.database.session.query(
          `UPDATE opendts.task SET state = 'running' WHERE id = '${own.task}'`,
        );
      const input = goodInput(name, own.name);
      const good = await call(name, input);
      // Else nothing that follows would get past the door.
      expect([name, good.body?.code === 'INPUT_INVALID' ? good.body.detail : null]).toEqual([name, null]);
      const tried = [...textsIn(schemaOf(name))].flatMap((path) => {
        // What lies deeper is taken by the same schemas.
        const texts = SLOW.has(name) || path.length > 1 ? HOSTILE.slice(0, 5) : HOSTILE;
        return [...texts, ...(ODD[path[0]!] ?? [])].map((text) => ({ path, text }));
      });
      for (const field of ['version', 'limit'])
        if (field in schemaOf(name).properties!)
          tried.push(...ODD[field]!.map((text) => ({ path: [field], text })));
      asked += tried.length;
      await Promise.all(
        tried.map(async ({ path, text }) => {
          const fresh = NEW.has(name) && path[0] !== 'name' ? goodInput(name, own.name) : input;
          const { status, body } = await call(name, put(fresh, path, text) as Fields);
          if (status >= 500) failed.push([name, path.join('.'), text, status, body?.code]);
        }),
      );
    }
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(1000);
    expect(service.log()).not.toContain('"msg":"a request failed"');
    const [{ groups }] = (await service.database.session.query(
      'SELECT count(*) AS groups FROM opendts.resource_group',
    )) as [{ groups: string }];
    expect(Number(groups)).toBeGreaterThan(1);
  }, 120_000);

  it('fills neither the audit log nor the counts of attempts as a stranger', async () => {
    const count = async (table: string) => {
      const [row] = await service.database.session.query(`SELECT count(*) AS n FROM opendts.${table}`);
      return Number((row as { n: string }).n);
    };
    await service.database.session.query(
      `INSERT INTO opendts.login_attempt VALUES ('address 127.0.0.1', 1000, now()) ON CONFLICT (subject) DO UPDATE SET attempts = 1000`,
    );
    const before = [await count('audit'), await count('login_attempt')];
    const strangers = [
      { name: '', password: 'x' },
      { name: 'x'.repeat(101), password: 'x' },
      { name: 'a\0b', password: 'x' },
    ];
    const tried = [...strangers, ...Array.from({ length: 5 }, () => ({ name: randomUUID(), password: 'x' }))];
    for (const body of tried) await service.send('POST /session', { body });
    for (const name of names.filter((one) => OPERATIONS[one].access !== 'anyone'))
      expect((await call(name, goodInput(name, 'default'), {})).status).toBe(401);
    expect([await count('audit'), await count('login_attempt')]).toEqual(before);
    await service.database.session.query('DELETE FROM opendts.login_attempt');
  });
});

describe('whoever administers a group', () => {
  /** Fields that name what is of a group; those of a path must all be here or below. */
  const OF_A_GROUP = {
    connection: 'connection',
    task: 'task',
    taskGroup: 'task group',
    source: 'connection',
    target: 'connection',
  };
  const OF_NOBODY = ['group', 'account'];

  it('reaches nothing of another one, by whatever operation and field', async () => {
    const [own, other] = [await group(), await group()];
    const theirs: Fields = {
      connection: other.connection,
      source: other.connection,
      target: other.connection,
      task: other.task,
      taskGroup: `wave ${other.mark}`,
    };
    const tried: string[] = [];
    for (const name of names.filter((one) => OPERATIONS[one].path.startsWith('/groups/{group}'))) {
      const inPath = pathFields(OPERATIONS[name].path);
      expect([name, inPath.filter((field) => !(field in OF_A_GROUP) && !OF_NOBODY.includes(field))]).toEqual([
        name,
        [],
      ]);
      const fields = Object.keys(schemaOf(name).properties ?? {});
      for (const [field, kind] of Object.entries(OF_A_GROUP)) {
        // Elsewhere it is a word that the task is given.
        if (!fields.includes(field) || (field === 'taskGroup' && !inPath.includes(field))) continue;
        const input = { ...goodInput(name, own.name), [field]: theirs[field] };
        const { status, body } = await call(name, input, { token: own.member.token });
        expect([name, field, status, body?.code, body?.facts?.kind]).toEqual([
          name,
          field,
          404,
          'NOT_FOUND',
          kind,
        ]);
        tried.push(`${name} ${field}`);
      }
      if (OPERATIONS[name].method !== 'GET') continue;
      const { text } = await call(name, goodInput(name, own.name), { token: own.member.token });
      for (const hidden of [other.mark, other.connection, other.task])
        expect([name, text.includes(hidden)]).toEqual([name, false]);
    }
    expect(tried).toEqual(
      expect.arrayContaining([
        'task.create source',
        'task.configure target',
        'event.follow task',
        'taskGroup.stop taskGroup',
      ]),
    );
    const list = await service.send('GET /groups', { token: own.member.token });
    expect(list.body.items.map(({ name }: { name: string }) => name)).toEqual([own.name]);
    // What was tried has changed nothing there.
    const { body } = await call('task.show', { group: other.name, task: other.task });
    expect(body).toMatchObject({ version: 1, state: 'not-started', environment: other.mark });
  }, 60_000);

  it('has no token, and no answer to a repeated request, of another account', async () => {
    const [own, other] = [await group(), await group()];
    const [token] = (await service.send('GET /tokens', { token: other.member.token })).body.items;
    const revoked = await call('token.revoke', { token: token.id }, { token: own.member.token });
    expect([revoked.status, revoked.body.facts.kind]).toEqual([404, 'token']);
    expect((await service.send('GET /tokens', { token: own.member.token })).text).not.toContain(token.id);
    // Named by what it is: it is not kept.
    expect(
      (await call('token.revoke', { token: own.member.token }, { token: own.member.token })).status,
    ).toBe(404);
    const audit = await service.send('GET /audit?limit=5', { token: admin.token });
    expect(audit.body.items[0]).toMatchObject({
      operation: 'token.revoke',
      account: own.member.name,
      object: null,
    });
    expect(audit.text).not.toContain(own.member.token);
    const headers = { 'idempotency-key': randomUUID() };
    const make = (at: typeof own) =>
      call('task.create', { group: at.name, name: at.mark }, { token: at.member.token, headers });
    const [one, two] = [await make(own), await make(other)];
    expect([one.status, two.status, one.body.name, two.body.name]).toEqual([201, 201, own.mark, other.mark]);
    const again = await call(
      'task.create',
      { group: other.name, name: other.mark },
      { token: own.member.token, headers },
    );
    expect([again.status, again.body.facts.kind]).toEqual([404, 'group']);
  });
});

describe('a token', () => {
  it('of an account that was disabled stays revoked when the account is back', async () => {
    const person = await service.account({ group: 'people', role: 'viewer' });
    const set = async (isDisabled: boolean) => {
      const { items } = (await service.send('GET /accounts?limit=200', { token: admin.token })).body;
      const { version } = items.find(({ id }: { id: string }) => id === person.id);
      const body = { version, isDisabled };
      return (await service.send(`PATCH /accounts/${person.id}`, { token: admin.token, body })).status;
    };
    const listed = async () => (await service.send('GET /groups', { token: person.token })).status;
    expect([await listed(), await set(true), await listed(), await set(false), await listed()]).toEqual([
      200, 200, 401, 200, 401,
    ]);
  });
});

describe('a session', () => {
  it('changes nothing, by any operation, for a page that does not know its CSRF token, and is none of another kind', async () => {
    const { name } = await group();
    const person = await service.account({ isAdministrator: true });
    const session = await startSession(service.node.services.store, person.id);
    const cookie = `opendts_session=${session}`;
    const unsafe = names.filter(
      (one) => OPERATIONS[one].method !== 'GET' && OPERATIONS[one].access !== 'anyone',
    );
    expect(unsafe.length).toBeGreaterThan(20);
    for (const one of unsafe)
      for (const csrf of [undefined, '', csrfTokenOf(`${session}x`), session]) {
        const { status, body } = await call(one, goodInput(one, name), {
          cookie,
          ...(csrf === undefined ? {} : { csrf }),
        });
        expect([one, status, body.code]).toEqual([one, 403, 'CSRF_TOKEN_WRONG']);
      }
    const tampered = `${session.slice(0, -1)}${session.endsWith('A') ? 'B' : 'A'}`;
    for (const one of names.filter((each) => OPERATIONS[each].access !== 'anyone'))
      for (const bad of [tampered, admin.token, '']) {
        const sent = { cookie: `opendts_session=${bad}`, csrf: csrfTokenOf(bad) };
        expect([one, (await call(one, goodInput(one, name), sent)).status]).toEqual([one, 401]);
      }
    expect((await service.send('GET /groups', { token: session })).status).toBe(401);
    expect((await service.send('GET /groups', { cookie })).status).toBe(200);
  }, 60_000);

  it('is a new one at every login, whatever cookie came with it', async () => {
    const person = await service.account({ group: 'people', role: 'viewer' });
    await setPassword(service.node.services.store, {
      accountId: person.id,
      hash: await hashPassword('long enough for it'),
      mustChange: false,
    });
    const planted = `opendts_session=${Buffer.alloc(32).toString('base64url')}`;
    const login = () =>
      service.send('POST /session', {
        cookie: planted,
        body: { name: person.name, password: 'long enough for it' },
      });
    const given = [await login(), await login()].map(
      ({ headers }) => (headers.get('set-cookie') ?? '').split(';')[0],
    );
    expect(new Set([planted, ...given]).size).toBe(3);
    expect((await service.send('GET /groups', { cookie: planted })).status).toBe(401);
  });

  it('of an owner is not locked out by somebody who guesses from elsewhere', async () => {
    const { store } = service.node.services;
    const person = await service.account({ group: 'people', role: 'viewer' });
    await setPassword(store, {
      accountId: person.id,
      hash: await hashPassword('long enough for it'),
      mustChange: false,
    });
    const login = (password: string) =>
      service.send('POST /session', { body: { name: person.name, password } });
    await service.database.session.query(
      `INSERT INTO opendts.login_attempt VALUES ('account ${person.name}' || chr(10) || '192.0.2.7', 50, now()), ('account ${person.name}', 50, now())`,
    );
    expect((await login('long enough for it')).status).toBe(200);
    // Guesses from everywhere together have an end, too.
    await service.database.session.query(
      `UPDATE opendts.login_attempt SET attempts = 100 WHERE subject = 'account ${person.name}'`,
    );
    expect((await login('long enough for it')).body.code).toBe('LOGIN_BLOCKED');
  });
});

describe('a stream', () => {
  it('that is only asked for its head is over at once', async () => {
    const { name, member } = await group();
    const { status } = await fetch(`${service.url}/api/v1/groups/${encodeURIComponent(name)}/events`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${member.token}` },
    });
    expect(status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await expect.poll(() => service.node.services.events.clients, { timeout: 10_000 }).toBe(0);
  });
});

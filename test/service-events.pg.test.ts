/** Live events over HTTP: what is told, from where one goes on, who is put out, and how many can follow. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findGroup } from '../src/service/store/account/group/find-group.ts';
import { startSession } from '../src/service/account/sessions.ts';
import { hashOf } from '../src/service/account/tokens.ts';
import { deleteSession } from '../src/service/store/account/session/delete-session.ts';
import { deleteMember } from '../src/service/store/account/group/delete-member.ts';
import { transition } from '../src/service/task-life/transition.ts';
import { followEvents, type EventClient, type SeenEvent } from './event-client.ts';
import { startService, type TestService } from './service.ts';
import { storedTask } from './stored-task.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService(12);
});
afterAll(() => service[Symbol.asyncDispose]());

const person = { account: { id: randomUUID(), name: 'ada' } };

/** A group with a viewer, its tasks, and clients that follow them. */
async function group() {
  const name = `g-${randomUUID().slice(0, 8)}`;
  const viewer = await service.account({ group: name, role: 'viewer' });
  const { store } = service.node.services;
  const { id: groupId = '' } = (await findGroup(store, name)) ?? {};
  const follow = (
    more: { task?: string; lastId?: string | null; token?: string; cookie?: string } = {},
  ): Promise<EventClient> =>
    followEvents({
      url: `${service.url}/api/v1/groups/${name}/events${more.task === undefined ? '' : `?task=${more.task}`}`,
      headers: more.cookie
        ? { cookie: more.cookie }
        : { authorization: `Bearer ${more.token ?? viewer.token}` },
      lastId: more.lastId ?? null,
    });
  const task = async (taskName: string) => (await storedTask(store, { groupId, name: taskName })).id;
  return { name, groupId, viewer, store, follow, task };
}

const kinds = (events: readonly SeenEvent[]) =>
  events.map(({ data }) => String(data.kind === 'task' ? `${data.task.name} ${data.task.state}` : data.kind));
const isReady = (events: readonly SeenEvent[]) => events.some(({ data }) => data.kind === 'ready');
const says = (line: string) => (events: readonly SeenEvent[]) => kinds(events).includes(line);
const start = (id: string) =>
  transition(service.node.services.store, id, { event: 'start', by: person }).then(() => {});

describe('whoever follows a group', () => {
  it('is told everything first and then every change, progress and deletions too, and nothing of other groups', async () => {
    const [own, other] = [await group(), await group()];
    const [a, b] = [await own.task('a'), await own.task('b')];
    await other.task('x');
    await using all = await own.follow();
    await using one = await own.follow({ task: 'b' });
    await Promise.all([all.until(isReady), one.until(isReady)]);
    expect(kinds(all.events)).toEqual(['reset', 'a not-started', 'b not-started', 'ready']);
    expect(kinds(one.events)).toEqual(['reset', 'b not-started', 'ready']);
    await start(a);
    await start(b);
    await other.task('y');
    await Promise.all([all.until(says('b prechecking')), one.until(says('b prechecking'))]);
    expect(kinds(all.events).slice(4).toSorted()).toEqual(['a prechecking', 'b prechecking']);
    const { session } = service.database;
    // Only its progress is new.
    await session.query("UPDATE opendts.task SET updated_at = now() - interval '1 hour'");
    await session.query(
      `INSERT INTO opendts.task_progress (task_id, fence, body, delay_ms) VALUES ('${a}', 0, '{"phase": "copy", "copy": {"share": 0.5}}', 700)`,
    );
    await all.until((events) => events.at(-1)?.data.task?.delayMs === 700);
    expect(all.events.at(-1)?.data.task).toMatchObject({ id: a, phase: 'copy', copied: 0.5, version: 2 });
    await session.query(
      `DELETE FROM opendts.task WHERE id = '${a}'; SELECT pg_notify('opendts_task', '${a}')`,
    );
    await all.until((events) => events.at(-1)?.data.id === a);
    const numbers = all.events.flatMap(({ id }) => (id === null ? [] : [Number(id.split('-')[1])]));
    expect(numbers).toEqual(numbers.toSorted((left, right) => left - right));
    expect(kinds(one.events)).toEqual(['reset', 'b not-started', 'ready', 'b prechecking']);
    expect((await own.follow({ task: 'nothing' })).status).toBe(404);
  });

  it('goes on behind the last event seen, and is told everything anew where nobody knows what that was', async () => {
    const own = await group();
    const [a] = [await own.task('a'), await own.task('b')];
    let lastId: string | null = null;
    {
      await using first = await own.follow();
      await first.until(isReady);
      lastId = first.lastId;
    }
    await start(a);
    {
      await using again = await own.follow({ lastId });
      await again.until(isReady);
      expect(kinds(again.events)).toEqual(['a prechecking', 'ready']);
      await own.task('c');
      await again.until(says('c not-started'));
    }
    for (const strange of ['123456789abc-1', 'rubbish', `${lastId?.split('-')[0]}-0`]) {
      await using anew = await own.follow({ lastId: strange });
      await anew.until(isReady);
      expect(kinds(anew.events).toSorted()).toEqual([
        'a prechecking',
        'b not-started',
        'c not-started',
        'ready',
        'reset',
      ]);
    }
  });

  it('is told a few times a second however much happens, and the last of it, also when the session that listens is lost', async () => {
    const own = await group();
    const a = await own.task('a');
    await using client = await own.follow();
    await client.until(isReady);
    const { session } = service.database;
    const began = Date.now();
    for (let i = 0; i < 300; i++)
      await session.query(
        `UPDATE opendts.task SET version = version + 1, updated_at = clock_timestamp() WHERE id = '${a}'; SELECT pg_notify('opendts_task', '${a}')`,
      );
    await client.until((events) => events.at(-1)?.data.task?.version === 301);
    expect(client.events.length - 3).toBeLessThanOrEqual(2 + (Date.now() - began) / 250);
    await session.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE (query = 'SELECT' OR query LIKE 'LISTEN%') AND datname = current_database()",
    );
    await start(a);
    await client.until(says('a prechecking'));
  });

  it('is put out within seconds when the token is revoked, the session ends, or the membership is taken away; the others stay', async () => {
    const own = await group();
    await own.task('a');
    const revoked = await service.account({ group: own.name, role: 'admin' });
    const removed = await service.account({ group: own.name, role: 'operator' });
    const ended = await service.account({ group: own.name, role: 'viewer' });
    const session = await startSession(own.store, ended.id);
    const clients = await Promise.all([
      own.follow(),
      own.follow({ token: revoked.token }),
      own.follow({ token: removed.token }),
      own.follow({ cookie: `opendts_session=${session}` }),
    ]);
    await using _all = {
      [Symbol.asyncDispose]: async () =>
        void (await Promise.all(clients.map((one) => one[Symbol.asyncDispose]()))),
    };
    await Promise.all(clients.map((client) => client.until(isReady)));
    expect((await service.send('DELETE /tokens/test', { token: revoked.token })).status).toBe(200);
    await deleteMember(own.store, own.groupId, removed.id);
    await deleteSession(own.store, hashOf(session));
    const began = Date.now();
    await Promise.all(clients.slice(1).map((client) => client.ended));
    expect(Date.now() - began).toBeLessThan(20_000);
    await own.task('b');
    await clients[0]!.until(says('b not-started'));
    expect(kinds(clients[1]!.events)).not.toContain('b not-started');
    expect((await own.follow({ token: removed.token })).status).toBe(404);
    expect((await own.follow({ token: revoked.token })).status).toBe(401);
  });

  it('is one of 200, who are all told at once over one session of the store', async () => {
    const own = await group();
    const a = await own.task('a');
    const clients = await Promise.all(Array.from({ length: 200 }, () => own.follow()));
    try {
      await Promise.all(clients.map((client) => client.until(isReady)));
      expect(service.node.services.events.clients).toBeGreaterThanOrEqual(200);
      await start(a);
      await Promise.all(clients.map((client) => client.until(says('a prechecking'))));
      const [{ count }] = (await service.database.session.query(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'opendts:store' AND datname = current_database()",
      )) as [{ count: string }];
      expect(Number(count)).toBeLessThanOrEqual(10);
    } finally {
      await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    }
    await expect.poll(() => service.node.services.events.clients, { timeout: 20_000 }).toBe(0);
  });
});

/** A service with workers for tests: its store in a database, two saved connections, tasks on them, workers here or as processes. */
import { randomUUID } from 'node:crypto';
import { openLog } from '../src/base/runtime/log.ts';
import { taskSettings, type TaskSettings } from '../src/contract/task-spec.ts';
import type { PersonEvent, TaskState } from '../src/contract/api/task-states.ts';
import { createConnection } from '../src/service/connection/saved-connections.ts';
import { startWorker, type RunningWorker, type WorkerOptions } from '../src/service/fleet/worker.ts';
import { openNode, type ServiceNode } from '../src/service/node.ts';
import { insertGroup } from '../src/service/store/account/group/insert-group.ts';
import type { StoredConnection } from '../src/service/store/connection/connection-row.ts';
import { findTask } from '../src/service/store/task/find-task.ts';
import { listEvents, type StoredEvent } from '../src/service/store/task/event/list-events.ts';
import type { StoredTask } from '../src/service/store/task/task-row.ts';
import { transition } from '../src/service/task-life/transition.ts';
import type { DatabasePair, TestDatabase } from './database.ts';
import { storedTask } from './stored-task.ts';

export const KEY = Buffer.alloc(32, 7).toString('base64');
const person = { account: { id: randomUUID(), name: 'ada' } };

export interface TestFleet extends AsyncDisposable {
  readonly node: ServiceNode;
  readonly groupId: string;
  /** Environment of a worker of its own process. */
  readonly env: Readonly<Record<string, string>>;
  readonly log: () => string;
  worker(options?: Partial<WorkerOptions>): Promise<RunningWorker>;
  connection(
    database: TestDatabase,
    more?: { password?: string; maxConnections?: number },
  ): Promise<StoredConnection>;
  /** Both of a pair as connections. */
  ends(
    pair: Pick<DatabasePair, 'source' | 'target'>,
  ): Promise<{ source: StoredConnection; target: StoredConnection }>;
  task(
    ends: { source: StoredConnection; target: StoredConnection },
    more?: { spec?: Partial<TaskSettings>; cluster?: string; retry?: readonly [number, number] },
  ): Promise<string>;
  ask(taskId: string, event: PersonEvent, facts?: Readonly<Record<string, unknown>>): Promise<StoredTask>;
  show(taskId: string): Promise<StoredTask>;
  /** Waits until the task has come to one of these states. */
  until(taskId: string, ...states: TaskState[]): Promise<StoredTask>;
  /** The oldest first. */
  events(taskId: string): Promise<StoredEvent[]>;
}

export async function startFleet(store: TestDatabase): Promise<TestFleet> {
  let log = '';
  const node = await openNode({
    log: openLog({ level: 'debug', stream: { write: (line) => void (log += line) } }),
    auditSink: null,
    auditRetentionDays: null,
    databaseUrl: store.uri,
    dataDir: '/nowhere',
    key: { text: KEY },
    secretDir: null,
    certificateDir: null,
    networks: [],
    env: {},
  });
  const { services, anotherStore } = node;
  const group = await insertGroup(services.store, randomUUID(), 'shop');
  const groupId = group?.id ?? '';
  const workers: RunningWorker[] = [];
  const show = async (id: string) => {
    const task = await findTask(services.store, id);
    if (task === null) throw new Error('no such task');
    return task;
  };
  const connection: TestFleet['connection'] = ({ uri }, { password, maxConnections = null } = {}) => {
    const url = new URL(uri);
    const secret = password ?? decodeURIComponent(url.password);
    url.password = '';
    return createConnection(
      services.store,
      groupId,
      {
        name: randomUUID(),
        kind: 'postgresql',
        conninfo: url.href,
        instanceId: null,
        region: null,
        accessMethod: null,
        maxConnections,
        password: secret,
      },
      { ...services.connections, mayName: true },
    );
  };
  return {
    node,
    groupId,
    env: { DATABASE_URL: store.uri, OPENDTS_KEY: KEY },
    log: () => log,
    worker: async (options = {}) => {
      const worker = await startWorker(
        {
          store: services.store,
          anotherStore,
          connections: services.connections,
          log: node.log,
        },
        {
          name: 'here',
          region: null,
          cluster: null,
          capacity: 20,
          drainSeconds: 20,
          version: '0.0.0',
          failpoint: null,
          ...options,
        },
      );
      workers.push(worker);
      return worker;
    },
    connection,
    ends: async ({ source, target }) => ({
      source: await connection(source),
      target: await connection(target),
    }),
    task: async ({ source, target }, { spec = {}, cluster = null, retry = [720, 10] } = {}) => {
      const { id } = await storedTask(services.store, {
        groupId,
        name: `task-${randomUUID().slice(0, 8)}`,
        sourceConnection: source.id,
        targetConnection: target.id,
        spec: taskSettings.parse(spec),
        cluster,
        blackout: [],
        retryConnectMinutes: retry[0],
        retryOtherMinutes: retry[1],
      });
      return id;
    },
    ask: (id, event, facts = {}) => transition(services.store, id, { event, by: person, facts }),
    show,
    until: async (id, ...states) => {
      try {
        return await eventually(
          () => show(id),
          ({ state }) => states.includes(state),
        );
      } catch (thrown) {
        const { state, failure } = await show(id);
        throw new Error(`${String(thrown)}: ${state} ${JSON.stringify(failure)}\n${log}`);
      }
    },
    events: async (id) => (await listEvents(services.store, id, { after: null, limit: 500 })).toReversed(),
    [Symbol.asyncDispose]: async () => {
      for (const worker of workers) await worker[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
    },
  };
}

/** As expect.poll, which tests that run side by side cannot have. */
export async function eventually<T>(get: () => Promise<T> | T, isSo: (value: T) => boolean): Promise<T> {
  const late = performance.now() + 90_000;
  for (;;) {
    const value = await get();
    if (isSo(value)) return value;
    if (performance.now() > late) throw new Error(`still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A service without its API for the fault run of the fleet: its store, tasks between databases, and workers in processes of their own. */
import { randomUUID } from 'node:crypto';
import type { ConnInfo } from '../../src/engine/pg/conninfo/conninfo.ts';
import { redactConninfo } from '../../src/engine/pg/conninfo/conninfo.ts';
import { parseConninfo } from '../../src/engine/pg/conninfo/parse.ts';
import { noLog } from '../../src/base/runtime/log.ts';
import { sleep } from '../../src/base/runtime/sleep.ts';
import type { PersonEvent, TaskState } from '../../src/contract/api/task-states.ts';
import { taskSettings, type TaskSettings } from '../../src/contract/task-spec.ts';
import { patiently } from '../../src/service/fleet/patiently.ts';
import { createConnection } from '../../src/service/connection/saved-connections.ts';
import { openNode, type ServiceNode } from '../../src/service/node.ts';
import { insertGroup } from '../../src/service/store/account/group/insert-group.ts';
import { findTask } from '../../src/service/store/task/find-task.ts';
import { insertTask } from '../../src/service/store/task/insert-task.ts';
import { listEvents } from '../../src/service/store/task/event/list-events.ts';
import type { StoredTask } from '../../src/service/store/task/task-row.ts';
import { listWorkers } from '../../src/service/store/worker/list-workers.ts';
import { transition } from '../../src/service/task-life/transition.ts';

/** The store comes back. */
const PATIENCE_MS = 30_000;
/** Workers say every three seconds that they live. */
const SEEN_MS = 8_000;
const nobody = { accountId: null, accountName: null, workerId: null };
const by = { account: { id: randomUUID(), name: 'faults' } };

export class FleetUnderTest implements AsyncDisposable {
  /** What a worker needs to know. */
  readonly env: Readonly<Record<string, string>>;
  private readonly node: ServiceNode;
  private readonly groupId: string;

  private constructor(node: ServiceNode, groupId: string, env: Readonly<Record<string, string>>) {
    this.node = node;
    this.groupId = groupId;
    this.env = env;
  }

  static async open(storeUri: string): Promise<FleetUnderTest> {
    const key = Buffer.alloc(32, 1).toString('base64');
    const node = await openNode({
      databaseUrl: storeUri,
      dataDir: '/nowhere',
      key: { text: key },
      secretDir: null,
      certificateDir: null,
      networks: [],
      env: {},
      log: noLog,
      auditSink: null,
      auditRetentionDays: null,
    });
    const group = await insertGroup(node.services.store, randomUUID(), 'faults');
    return new FleetUnderTest(node, group?.id ?? '', { DATABASE_URL: storeUri, OPENDTS_KEY: key });
  }

  async task(
    name: string,
    ends: { source: string; target: string },
    spec: Partial<TaskSettings>,
  ): Promise<string> {
    const id = randomUUID();
    const { store } = this.node.services;
    await insertTask(store, {
      id,
      groupId: this.groupId,
      name,
      taskGroup: null,
      sourceConnection: await this.connection(`${name} source`, parseConninfo(ends.source, 'source')),
      targetConnection: await this.connection(`${name} target`, parseConninfo(ends.target, 'target')),
      spec: taskSettings.parse(spec),
      class: 'small',
      environment: null,
      cluster: null,
      blackout: [],
      retryConnectMinutes: 720,
      retryOtherMinutes: 60,
      state: 'not-started',
      by: nobody,
      facts: {},
    });
    return id;
  }

  private async connection(name: string, info: ConnInfo): Promise<string> {
    const { store, connections } = this.node.services;
    const input = {
      name,
      kind: 'postgresql' as const,
      conninfo: redactConninfo(info),
      instanceId: null,
      region: null,
      accessMethod: null,
      maxConnections: null,
      ...(info.password === null ? {} : { password: info.password }),
    };
    const made = await createConnection(store, this.groupId, input, { ...connections, mayName: true });
    return made.id;
  }

  async ask(id: string, event: PersonEvent): Promise<void> {
    await transition(this.node.services.store, id, { event, by });
  }

  /** Also just after the store was away. */
  async show(id: string): Promise<StoredTask> {
    const { store } = this.node.services;
    const task = await patiently(AbortSignal.timeout(PATIENCE_MS), () => findTask(store, id));
    if (task === null) throw new Error('no such task');
    return task;
  }

  /** Of each task who has it. */
  async owners(tasks: readonly { readonly id: string }[]): Promise<(string | null)[]> {
    return Promise.all(tasks.map(async ({ id }) => (await this.show(id)).workerId));
  }

  /** Ids of workers that were seen just now. */
  async alive(): Promise<string[]> {
    const workers = await listWorkers(this.node.services.store);
    return workers.filter(({ seenAt }) => Date.now() - Date.parse(seenAt) < SEEN_MS).map(({ id }) => id);
  }

  /** How many workers have lent hands to the copy of a task. */
  async lenders(taskId: string): Promise<number> {
    const found = new Set<string>();
    for (let after: string | null = null; ;) {
      const page = await listEvents(this.node.services.store, taskId, { after, limit: 500 });
      for (const { facts } of page) {
        const lender = /^worker (\S+) lends a hand/.exec(String(facts.message))?.[1];
        if (lender !== undefined) found.add(lender);
      }
      after = page.at(-1)?.id ?? null;
      if (page.length < 500) return found.size;
    }
  }

  /** Throws when it comes to another one of `wrong`, or not at all in time. */
  async until(
    id: string,
    states: TaskState | readonly TaskState[],
    ms: number,
    wrong: readonly TaskState[] = ['failed'],
  ): Promise<void> {
    const late = performance.now() + ms;
    for (;;) {
      const task = await this.show(id);
      if ([states].flat().includes(task.state)) return;
      if (wrong.includes(task.state) || performance.now() > late)
        throw new Error(
          `${task.name} is ${task.state}, not ${String(states)}: ${task.failure?.message ?? 'too slow'}`,
        );
      await sleep(200);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
  }
}

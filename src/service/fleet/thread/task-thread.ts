/**
 * The thread of one task: it migrates, checks or releases, and tells its owner how that goes. The owner's own thread has to say every few
 * seconds that it lives, whatever the load of its tasks.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { armFailpoint, noFailpoints } from '../../../base/runtime/failpoint.ts';
import { connect } from '../../../engine/pg/connect.ts';
import { checkMigration } from '../../task/check-migration.ts';
import { cleanup } from '../../task/release/cleanup.ts';
import { toMessage } from '../../task/copy/copy-thread-messages.ts';
import { startMigration } from '../../task/migrate.ts';
import { toTaskProgress } from '../../../contract/api/task-progress.ts';
import type { MoreHands } from '../../task/copy/more-hands.ts';
import { Store } from '../../store/store.ts';
import { handsOfOthers } from '../hands/offered-copy.ts';
import { ChangedTables } from './changed-tables.ts';
import type { Asked, FromTask, Lenders, Outcome, ThreadStart, ToTask } from './messages.ts';

const TELL_MS = 1_000;

interface Parts {
  readonly tell: (message: FromTask) => void;
  readonly hear: (listener: (message: ToTask) => void) => void;
}

async function work({ work: asked, ...start }: ThreadStart, parts: Parts): Promise<Outcome> {
  const stop = new AbortController();
  parts.hear(({ kind }) => {
    if (kind === 'stop') stop.abort(new Error('the task is stopped'));
  });
  switch (asked.kind) {
    case 'migrate':
      return migrate(asked.request, start, { ...parts, signal: stop.signal });
    case 'precheck':
      return { kind: 'precheck', checked: await check(asked.request, stop.signal) };
    case 'release':
      return { kind: 'release', ...(await cleanup(asked.request)) };
  }
}

async function migrate(
  request: Asked,
  { failpoint, lenders }: Omit<ThreadStart, 'work'>,
  { tell, hear, signal }: Parts & { readonly signal: AbortSignal },
): Promise<Outcome> {
  const changed = new ChangedTables();
  const known = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => stopped.resolve(), { once: true });
  const migration = startMigration(
    { ...request, until: { kind: 'signal' } },
    {
      signal,
      failpoints: failpoint === null ? noFailpoints : armFailpoint(failpoint),
      onEvent: (event) => tell({ kind: 'event', event }),
      onTask: async (engineTaskId) => {
        tell({ kind: 'task', engineTaskId });
        await Promise.race([known.promise, stopped.promise]);
        signal.throwIfAborted();
      },
      ...(lenders === null ? {} : { moreHands: handsOf(lenders) }),
    },
  );
  const tellProgress = () => {
    const now = migration.progress();
    const tables = changed.of(now.tables, migration.stopped());
    tell({ kind: 'progress', told: { progress: toTaskProgress(now), tables } });
  };
  hear((message) => {
    if (message.kind === 'task-known') known.resolve();
    if (message.kind !== 'limits') return;
    migration.limit(message.limits);
    migration.limitStream(message.streamLimits);
  });
  const timer = setInterval(tellProgress, TELL_MS);
  try {
    const summary = await migration.finished;
    return { kind: 'migrate', summary };
  } finally {
    clearInterval(timer);
    tellProgress();
  }
}

function handsOf({ address, taskId, fence }: Lenders): MoreHands {
  return handsOfOthers({ openStore: () => Store.at(address), taskId, fence });
}

async function check(request: Asked, signal: AbortSignal) {
  return checkMigration(
    request,
    async (side) => {
      const session = await connect(request[side], { side, applicationName: 'opendts:check' });
      signal.addEventListener('abort', () => session.destroy(), { once: true });
      return session;
    },
    signal,
  );
}

const port = parentPort;
if (port) {
  const tell = (message: FromTask) => port.postMessage(message);
  const hear = (listener: (message: ToTask) => void) => port.on('message', listener);
  try {
    tell({ kind: 'ended', outcome: await work(workerData as ThreadStart, { tell, hear }) });
  } catch (thrown) {
    tell({ kind: 'failed', error: toMessage(thrown) });
  }
  port.close();
}

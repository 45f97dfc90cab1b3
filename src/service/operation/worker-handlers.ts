/** What the operations on workers do. */
import { AppError } from '../../base/errors/app-error.ts';
import type { WORKER_OPERATIONS } from '../../contract/api/worker-operations.ts';
import { listRunning } from '../store/worker/list-running.ts';
import { listWorkers } from '../store/worker/list-workers.ts';
import { setDraining } from '../store/worker/set-draining.ts';
import type { Handlers } from './context.ts';

/** Workers say every three seconds that they live. */
const ALIVE_MS = 15_000;

export const WORKER_HANDLERS: Handlers<keyof typeof WORKER_OPERATIONS> = {
  'worker.list': async ({ db }) => {
    const running = await listRunning(db);
    const items = (await listWorkers(db)).map((worker) => ({
      ...worker,
      isAlive: Date.now() - Date.parse(worker.seenAt) < ALIVE_MS,
      tasks: running
        .filter(({ workerId }) => workerId === worker.id)
        .map(({ id, name, group, state }) => ({ id, name, group, state })),
    }));
    return { items };
  },

  'worker.drain': async ({ db, trace }, { worker, drain }) => {
    const [changed, ...others] = await setDraining(db, worker, drain);
    if (changed === undefined) throw new AppError('NOT_FOUND', { kind: 'worker', name: worker });
    if (others.length > 0)
      throw new AppError('INPUT_INVALID', { problem: 'worker: several have that name; give the id' });
    Object.assign(trace, { objectId: changed.id, objectName: changed.name, after: changed });
    return changed;
  },
};

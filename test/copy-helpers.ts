/** A task in a store of its own that others lend hands to, and what they have done for it. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { handsOfOthers } from '../src/service/fleet/hands/offered-copy.ts';
import { migrate } from '../src/service/store/migrate.ts';
import { Store } from '../src/service/store/store.ts';
import type { MoreHands } from '../src/service/task/copy/more-hands.ts';
import type { HelperWork } from './copy-helper-process.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import type { Major } from './global-setup.ts';
import { startProxy } from './tcp-proxy.ts';
import { insertHelpedTask, ownTask, startHelper, type Helper } from './lending.ts';

export interface HelpedTask extends AsyncDisposable {
  readonly store: Store;
  readonly database: TestDatabase;
  readonly taskId: string;
  readonly moreHands: MoreHands;
  /** Started and listening. */
  helper(
    ends: { source: TestDatabase; target: TestDatabase },
    options?: Partial<HelperWork>,
  ): Promise<Helper>;
  /** Batches that each worker was given, most first; looks until it is disposed of. */
  units(): ReadonlyMap<string, number>;
  /** The store answers neither the owner nor those that help for so long. */
  away(ms: number): Promise<void>;
  /** Another worker becomes the owner. */
  takeOver(): Promise<void>;
}

export async function helpedTask(major: Major): Promise<HelpedTask> {
  const database = await freshDatabase(major);
  const store = Store.at(database.uri);
  await migrate(store);
  const proxy = await startProxy('127.0.0.1', database.info.hosts[0]?.port ?? 0);
  const uri = database.uri.replace(/:\d+\//, `:${proxy.port}/`);
  const taskId = await insertHelpedTask(store);
  const fence = await ownTask(store, taskId);
  const units = new Map<string, number>();
  const row = z.object({ hand: z.string(), worker: z.string(), unit: z.string().transform(Number) });
  const byHand = new Map<string, { worker: string; unit: number }>();
  const look = setInterval(() => {
    store
      .query(row, 'SELECT id AS hand, worker_id AS worker, unit FROM opendts.copy_hand')
      .then((rows) => {
        for (const { hand, worker, unit } of rows) byHand.set(hand, { worker, unit });
      })
      .catch(() => {});
  }, 100);
  return {
    store,
    database,
    taskId,
    moreHands: handsOfOthers({ openStore: () => Store.at(uri), taskId, fence }),
    helper: ({ source, target }, options = {}) =>
      startHelper({
        store: uri,
        source: source.uri,
        target: target.uri,
        workerId: randomUUID(),
        places: 2,
        failpoint: null,
        ...options,
      }),
    units: () => {
      units.clear();
      for (const { worker, unit } of byHand.values()) units.set(worker, (units.get(worker) ?? 0) + unit);
      return units;
    },
    away: async (ms) => {
      proxy.silence({ newOnes: true });
      await new Promise((resolve) => setTimeout(resolve, ms));
      proxy.heal();
    },
    takeOver: async () => void (await ownTask(store, taskId)),
    [Symbol.asyncDispose]: async () => {
      clearInterval(look);
      await proxy[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** The shop's write load: clients that each run one transaction after another, in an order nobody can foresee. */
import { SQLSTATE, sqlstateOf } from '../engine/pg/pg-error.ts';
import type { Session } from '../engine/pg/session.ts';
import { sleep } from '../base/runtime/sleep.ts';
import {
  BUSINESSES,
  SecondThoughts,
  type Business,
  type BusinessName,
  type Client,
  type ShopRange,
} from './business.ts';

export interface LoadOptions {
  readonly clients: number;
  /** Each client waits between transactions, this long on average. */
  readonly pauseMs: number;
}

export interface LoadCounts {
  /** Committed. */
  readonly transactions: bigint;
  readonly rolledBack: bigint;
  readonly statements: bigint;
  readonly committedByKind: Readonly<Record<BusinessName, bigint>>;
}

export interface Load {
  counts(): LoadCounts;
  /** Lets every client finish its transaction, closes their sessions and counts. Throws what made a client fail. */
  stop(): Promise<LoadCounts>;
}

type Mutable = {
  transactions: bigint;
  rolledBack: bigint;
  statements: bigint;
  committedByKind: Record<BusinessName, bigint>;
};

const NAMES = Object.keys(BUSINESSES) as BusinessName[];
const SERIALIZATION_FAILURE = '40001';

/** Starts the clients on a shop made by seedShop; `open` gives each a session of its own. Returns at once. */
export function startLoad(open: () => Promise<Session>, options: LoadOptions): Load {
  const counts: Mutable = {
    transactions: 0n,
    rolledBack: 0n,
    statements: 0n,
    committedByKind: Object.fromEntries(NAMES.map((name) => [name, 0n])) as Record<BusinessName, bigint>,
  };
  const stopping = new AbortController();
  const running = Promise.allSettled(
    Array.from({ length: options.clients }, async () => {
      try {
        await using session = await open();
        await runClient(session, counts, { pauseMs: options.pauseMs, signal: stopping.signal });
      } catch (thrown) {
        stopping.abort();
        throw thrown;
      }
    }),
  );
  return {
    counts: () => ({ ...counts, committedByKind: { ...counts.committedByKind } }),
    async stop() {
      stopping.abort();
      for (const client of await running) if (client.status === 'rejected') throw client.reason;
      return counts;
    },
  };
}

async function runClient(
  session: Session,
  counts: Mutable,
  { pauseMs, signal }: { readonly pauseMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const run: Client['run'] = (sql, values) => {
    counts.statements++;
    return session.query(sql, values);
  };
  const client: Client = { run, range: await readRange(session) };
  // Every kind once, then by weight: a short load has them all too.
  const first = NAMES.toSorted(() => Math.random() - 0.5);
  while (!signal.aborted) {
    const name = first.pop() ?? chooseByWeight();
    if (await runBusiness(session, BUSINESSES[name], client)) {
      counts.transactions++;
      counts.committedByKind[name]++;
    } else {
      counts.rolledBack++;
    }
    await sleep(Math.random() * 2 * pauseMs, signal);
  }
}

/** True when it committed. A deadlock or a row that moved to another partition ends in a rollback, as for any application. */
async function runBusiness(session: Session, business: Business, client: Client): Promise<boolean> {
  try {
    await session.transaction(() => business.work(client));
    return true;
  } catch (thrown) {
    const state = sqlstateOf(thrown);
    const expected =
      thrown instanceof SecondThoughts || state === SQLSTATE.deadlock || state === SERIALIZATION_FAILURE;
    if (!expected) throw thrown;
    return false;
  }
}

function chooseByWeight(): BusinessName {
  const total = NAMES.reduce((sum, name) => sum + BUSINESSES[name].weight, 0);
  let left = Math.random() * total;
  return NAMES.find((name) => (left -= BUSINESSES[name].weight) < 0) ?? 'placeOrder';
}

async function readRange(session: Session): Promise<ShopRange> {
  const row = await session.one(`
    SELECT (SELECT max(id) FROM catalog.product)::text AS products, (SELECT max(id) FROM sales.customer)::text AS customers,
           (SELECT max(id) FROM sales.orders)::text AS last_order`);
  return {
    products: Number(row.products),
    customers: Number(row.customers),
    lastOrder: Number(row.last_order),
  };
}

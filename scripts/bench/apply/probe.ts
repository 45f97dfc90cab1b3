/** Probes: transactions of one row on the source, whose arrival is looked for in the target. */
import { sleep } from '../../../src/base/runtime/sleep.ts';
import type { Session } from '../../../src/engine/pg/session.ts';
import { openDatabase } from '../cluster-pair.ts';
import type { DataTable } from '../data-sets.ts';
import type { Live } from './live.ts';

export const probeTable: DataTable = {
  name: 'probe',
  create: 'CREATE TABLE public.probe (client int, seq int, PRIMARY KEY (client, seq))',
  fill: '',
  keys: [],
};

export interface ProbeLoad {
  readonly perSecond: number;
  readonly seconds: number;
  /** The wait between two looks at the target: every latency may be that much too long. */
  readonly pollMs: number;
}

const CLIENTS = 8;

/** Milliseconds from a probe's commit, as its client was told, to its being visible in the target; in the order of the commits. */
export async function probe(live: Live, load: ProbeLoad, signal: AbortSignal): Promise<number[]> {
  const { pair, database, follower } = live;
  await using target = await openDatabase(pair.target, database);
  const before = await newest(target);
  const writer = new ProbeWriter(load, before);
  const latencies: { readonly at: number; readonly ms: number }[] = [];
  const seen = [...before];
  const watch = async () => {
    while (latencies.length < writer.total) {
      const found = await newest(target);
      const now = performance.now();
      for (const [client, last] of found.entries()) {
        for (let seq = (seen[client] ?? 0) + 1; seq <= last; seq++) {
          // Where the target is faster than the answer to the client, no time has passed.
          const at = writer.committedAt(client, seq) ?? now;
          latencies.push({ at, ms: now - at });
        }
        seen[client] = last;
      }
      await sleep(load.pollMs, signal);
    }
  };
  const writing = before.map(async (_, client) => {
    await using session = await openDatabase(pair.source, database);
    await writer.run(session, client, signal);
  });
  await Promise.race([Promise.all([...writing, watch()]), follower.broken]);
  return latencies.toSorted((a, b) => a.at - b.at).map(({ ms }) => ms);
}

/** Transactions become due at even intervals; whichever client is free takes the next. */
class ProbeWriter {
  readonly total: number;
  private readonly load: ProbeLoad;
  private readonly before: readonly number[];
  private readonly commits: number[][];
  private readonly begin = performance.now();
  private taken = 0;

  constructor(load: ProbeLoad, before: readonly number[]) {
    this.load = load;
    this.before = before;
    this.total = Math.round(load.perSecond * load.seconds);
    this.commits = before.map(() => []);
  }

  async run(session: Session, client: number, signal: AbortSignal): Promise<void> {
    const commits = this.commits[client] ?? [];
    const first = (this.before[client] ?? 0) + 1;
    while (this.taken < this.total) {
      const early = this.begin + (1000 * this.taken++) / this.load.perSecond - performance.now();
      if (early > 0) await sleep(early, signal);
      await session.query(`INSERT INTO public.probe VALUES (${client}, ${first + commits.length})`);
      commits.push(performance.now());
    }
  }

  committedAt(client: number, seq: number): number | undefined {
    return this.commits[client]?.[seq - (this.before[client] ?? 0) - 1];
  }
}

/** The number of each client's newest probe. */
async function newest(target: Session): Promise<number[]> {
  const rows = await target.query(
    `SELECT (SELECT max(p.seq) FROM public.probe p WHERE p.client = c.client)::text AS seq
       FROM pg_catalog.generate_series(0, ${CLIENTS - 1}) c (client) ORDER BY c.client`,
  );
  return rows.map(({ seq }) => Number(seq ?? 0));
}

/** By the nearest rank. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/** What reads a backlog: PostgreSQL's own subscription, a client that only receives, and opendts. */
import { fileURLToPath } from 'node:url';
import { literal } from '../../../src/engine/pg/ident.ts';
import { openDatabase, type ClusterPair } from '../cluster-pair.ts';
import { PUBLICATION } from './backlog.ts';
import { startOpendts } from '../opendts-run.ts';
import { startProgram, type ProgramOptions } from '../program.ts';

/** What a follower is told to read and where to write. */
export interface FollowJob extends ProgramOptions {
  readonly pair: ClusterPair;
  /** On both servers. */
  readonly database: string;
  /** Of the backlog only its last row lies behind it. */
  readonly end: string;
  /** An empty folder, removed after the run. */
  readonly scratch: string;
}

export interface Follower {
  /** Its own process; null where all of it runs inside the two servers. */
  readonly pid: number | null;
  /** Rejects when it ends although nobody stopped it. */
  readonly broken: Promise<never>;
  /** Resolves at the end of the backlog; null where the target tells. */
  readonly finished: Promise<{ readonly changes: number }> | null;
  stop(): Promise<void>;
}

export interface Drainer {
  readonly name: string;
  /** The slot it reads from; the task's own for opendts. */
  slotOf(task: string): string;
  start(job: FollowJob): Promise<Follower>;
}

const never = new Promise<never>(() => {});

/** `CREATE SUBSCRIPTION (copy_data = false)`, on an existing slot, all else as PostgreSQL has it by default unless said. */
export function subscription(name: string): Drainer {
  const slot = 'bench_subscription';
  return {
    name,
    slotOf: () => slot,
    async start({ pair, database }) {
      const target = await openDatabase(pair.target, database);
      await target.query(
        `CREATE SUBSCRIPTION bench CONNECTION ${literal(pair.source.uri(database))} PUBLICATION ${PUBLICATION}
           WITH (copy_data = false, create_slot = false, slot_name = ${literal(slot)})`,
      );
      return {
        pid: null,
        broken: never,
        finished: null,
        stop: async () => {
          await target.query('ALTER SUBSCRIPTION bench DISABLE');
          await target.query('ALTER SUBSCRIPTION bench SET (slot_name = NONE)');
          await target.query('DROP SUBSCRIPTION bench');
          await target.end();
        },
      };
    },
  };
}

export const opendtsFollow = ours('opendts', []);
export const oneLane = ours('opendts, one lane', ['--lanes', '1']);

function ours(name: string, options: readonly string[]): Drainer {
  return {
    name,
    slotOf: (task) => task,
    start: ({ pair, database, scratch, env, signal }) => {
      const ends = ['--source', pair.source.uri(database), '--target', pair.target.uri(database)];
      const args = ['migrate', ...ends, '--json', '--state-dir', scratch, ...options];
      return Promise.resolve({ ...startOpendts({ env, signal }, args), finished: null });
    },
  };
}

const CHILD = fileURLToPath(new URL('./receive-child.ts', import.meta.url));

/** Reads the messages and drops them: what the source's walsender and the socket cost by themselves. */
export const receiveOnly: Drainer = {
  name: 'receive only',
  slotOf: () => 'bench_receive',
  start: ({ pair, database, end, env, signal }) => {
    const finished = Promise.withResolvers<{ changes: number }>();
    const onLine = (line: string) => finished.resolve({ changes: Number(line) });
    const args = [CHILD, pair.source.uri(database), 'bench_receive', PUBLICATION, end];
    const running = startProgram(process.execPath, args, { env, signal, onLine });
    return Promise.resolve({ ...running, finished: finished.promise });
  },
};

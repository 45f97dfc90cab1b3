/**
 * Counts what the source has sent, independently of opendts: a second slot behind the same publication, read by SQL. What opendts has on
 * its accounts (I6) must be exactly that.
 */
import { displayName } from '../../src/engine/change/relation.ts';
import { HEARTBEAT } from '../../src/engine/source/helpers/helper-tables.ts';
import type { Session } from '../../src/engine/pg/session.ts';

export interface Counts {
  readonly commits: number;
  /** By table: inserts, updates, deletes, and one for each TRUNCATE it was part of. */
  readonly changes: ReadonlyMap<string, number>;
}

export interface Witness extends AsyncDisposable {
  /** Everything since the start, up to what has been committed now. */
  count(): Promise<Counts>;
}

/** Messages of pgoutput as `relid`, once for each table they are about; 0 is a commit. */
const MESSAGES = `
  WITH message AS (
    SELECT get_byte(data, 0) AS kind, data
      FROM pg_catalog.pg_logical_slot_get_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)
  ), about AS (
    SELECT pg_catalog.substr(data, 2, 4) AS relid FROM message WHERE kind IN (ascii('I'), ascii('U'), ascii('D'))
    UNION ALL
    SELECT pg_catalog.substr(data, 7 + 4 * at, 4)
      FROM message, pg_catalog.generate_series(0, get_byte(data, 4) - 1) at WHERE kind = ascii('T')
    UNION ALL
    SELECT '\\x00000000' FROM message WHERE kind = ascii('C')
  ), summed AS (
    SELECT relid, count(*)::text AS n FROM about GROUP BY relid
  )
  SELECT nspname || '.' || relname AS name, n
    FROM summed LEFT JOIN pg_catalog.pg_class c ON c.oid = ('x' || encode(relid, 'hex'))::bit(32)::bigint
    LEFT JOIN pg_catalog.pg_namespace s ON s.oid = relnamespace`;

/**
 * Begins with the next transaction that commits. `open` gives a session on the migration's source; a server that crashes may repeat what
 * was counted before, so there it is counted once, at the end.
 */
export async function openWitness(open: () => Promise<Session>, slot: string): Promise<Witness> {
  let publication = '';
  {
    await using session = await open();
    publication = (await session.one('SELECT pubname FROM pg_catalog.pg_publication')).pubname ?? '';
    await session.query("SELECT FROM pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
  }
  let commits = 0;
  const changes = new Map<string, number>();
  return {
    count: async () => {
      await using session = await open();
      for (const { name, n } of await session.query(MESSAGES, [slot, publication])) {
        if (name == null) commits += Number(n);
        else changes.set(name, (changes.get(name) ?? 0) + Number(n));
      }
      return { commits, changes };
    },
    [Symbol.asyncDispose]: async () => {
      await using session = await open();
      await session.query('SELECT pg_catalog.pg_drop_replication_slot($1)', [slot]);
    },
  };
}

/** What opendts has on its accounts on the target. Throws where one does not balance in itself, a table stands still, or, unless they are expected, there are dead letters. */
export async function readLedger(target: Session, { letters = false } = {}): Promise<Counts> {
  const { commits } = await target.one('SELECT sum(commits)::text AS commits FROM _opendts.lane');
  const rows = await target.query(
    `SELECT source_table, (received - repeated)::text AS n, received = applied + folded + filtered + invisible + repeated + dead AS balances,
            dead::text FROM _opendts.account`,
  );
  const stopped = await target.query('SELECT reason FROM _opendts.stopped_table');
  if (stopped.length > 0)
    throw new Error(`tables stand still: ${stopped.map(({ reason }) => reason).join(' ')}`);
  const odd = rows.filter(({ balances, dead }) => balances !== 't' || (dead !== '0' && !letters));
  if (odd.length > 0)
    throw new Error(`accounts that do not balance: ${odd.map((row) => row.source_table).join(', ')}`);
  return {
    commits: Number(commits),
    changes: new Map(rows.filter(({ n }) => n !== '0').map((row) => [row.source_table ?? '', Number(row.n)])),
  };
}

/**
 * A line for each figure that differs. `before` is what the ledger held when the witness began. The heartbeat beats while others read, and
 * on behind what is applied: its transactions, of one change each, are left out of it all.
 */
export function ledgerDifferences(...all: [sent: Counts, ledger: Counts, before: Counts]): string[] {
  const [sent, ledger, before] = all.map(withoutHeartbeat) as typeof all;
  const tables = new Set([...sent.changes.keys(), ...ledger.changes.keys()]);
  const pairs = [...tables].map(
    (table) =>
      [
        `changes of ${table}`,
        sent.changes.get(table) ?? 0,
        (ledger.changes.get(table) ?? 0) - (before.changes.get(table) ?? 0),
      ] as const,
  );
  return [...pairs, ['commits', sent.commits, ledger.commits - before.commits] as const]
    .filter(([, there, here]) => there !== here)
    .map(([what, there, here]) => `${what}: ${there} sent by the source, ${here} on the accounts`);
}

function withoutHeartbeat({ commits, changes }: Counts): Counts {
  const name = displayName(HEARTBEAT);
  const others = new Map(changes);
  others.delete(name);
  return { commits: commits - (changes.get(name) ?? 0), changes: others };
}

/**
 * Kills (SIGKILL) and freezes (SIGSTOP, another owner takes over, SIGCONT) `opendts migrate` at random moments of the stream, under a load
 * of every kind of change. Now and then the load stops, and all is compared: content, how often equal rows occur, and the accounts (I6)
 * against what the source itself says it sent. In the end nothing that the migration made for itself may be left.
 *   npm run faults:apply             300 moments        npm run faults:apply -- --quick     ten
 */
import { startEmbedded, type EmbeddedServer } from '../src/base/embedded/server.ts';
import { sleep } from '../src/base/runtime/sleep.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import type { Session } from '../src/engine/pg/session.ts';
import { startLoad } from '../src/demo/load.ts';
import { seedShop } from '../src/demo/shop/seed.ts';
import { openCli, say } from './faults/cli.ts';
import { Owners } from './faults/owners.ts';
import { LOOSE_TABLES, STREAM_TABLES } from './faults/stream-tables.ts';
import { ledgerDifferences, openWitness, readLedger, type Counts, type Witness } from './faults/witness.ts';
import { startWriters } from './faults/writers.ts';

const quick = process.argv.includes('--quick');
const events = Number(/^\d+$/.exec(process.argv.at(-1) ?? '')?.[0] ?? (quick ? 10 : 300));
/** Between two comparisons. */
const EVENTS_A_ROUND = 25;
const SHOP_SCALE = 0.05;
const WRITERS = 2;
const LOAD = { writers: WRITERS, pauseMs: 25, shares: { bulk: 0.0015, moves: 0.005 }, holds: true };
const SHOP_LOAD = { clients: 1, pauseMs: 25 };

const totals = { kills: 0, freezes: 0, transactions: 0, rounds: 0 };
const started = performance.now();
using cli = openCli();
const servers: EmbeddedServer[] = [];
const chain: { owners?: Owners } = {};

async function run(source: EmbeddedServer, target: EmbeddedServer): Promise<void> {
  const open = (server: EmbeddedServer) => () =>
    connect(parseConninfo(server.uri('postgres'), 'source'), { side: 'source', applicationName: 'faults' });
  await using here = await open(source)();
  await using there = await open(target)();
  await here.query('SET search_path = public');
  await here.query(STREAM_TABLES);
  await seedShop(here, { scale: SHOP_SCALE });
  const identities = await readIdentities(here);
  const ends = ['--source', source.uri('postgres'), '--target', target.uri('postgres')];
  await cli.mustRun('migrate', [...ends, '--until', 'caught-up']);
  const before = await readLedger(there);
  {
    await using witness = await openWitness(open(source), 'faults_witness');
    const owners = new Owners(cli, ends);
    chain.owners = owners;
    while (totals.kills + totals.freezes < events) {
      const writers = startWriters(open(source), 1 + totals.rounds++ * (WRITERS + 1), LOAD);
      const shop = startLoad(open(source), SHOP_LOAD);
      for (let at = 0; at < EVENTS_A_ROUND && totals.kills + totals.freezes < events; at++)
        await disturb(owners);
      totals.transactions += (await writers.stop()) + Number((await shop.stop()).transactions);
      await owners.stop();
      await assertNoBackends(here, there);
      await cli.mustRun('migrate', [...ends, '--until', 'caught-up']);
      await cli.mustRun('verify', ends);
      await assertSameMultiplicities(here, there);
      await assertExactAccounts(witness, there, before);
      say(`  all the same after ${totals.kills + totals.freezes}`);
      if (totals.kills + totals.freezes < events) owners.next();
    }
  }
  await cli.mustRun('cleanup', [...ends, '--yes']);
  await assertNothingLeft(here, there);
  if ((await readIdentities(here)) !== identities) throw new Error('a replica identity is not as it was');
}

/** In turn, so that a short run has both. */
async function disturb(owners: Owners): Promise<void> {
  const isKill = totals.kills <= totals.freezes;
  const what = await (isKill ? owners.kill() : owners.freeze());
  if (isKill) totals.kills++;
  else totals.freezes++;
  say(`${totals.kills + totals.freezes}: ${what} (${Math.round((performance.now() - started) / 1000)} s)`);
}

async function assertSameMultiplicities(here: Session, there: Session): Promise<void> {
  for (const table of LOOSE_TABLES) {
    const rows = `SELECT md5(r::text) AS row, count(*)::text AS n FROM public.${table} r GROUP BY 1 ORDER BY 1`;
    const [mine, theirs] = [await here.query(rows), await there.query(rows)];
    const at = mine.findIndex(({ row, n }, i) => row !== theirs[i]?.row || n !== theirs[i]?.n);
    if (at >= 0 || mine.length !== theirs.length)
      throw new Error(`${table}: equal rows occur another number of times on the target`);
  }
}

async function assertExactAccounts(witness: Witness, there: Session, before: Counts): Promise<void> {
  const wrong = ledgerDifferences(await witness.count(), await readLedger(there), before);
  if (wrong.length > 0) throw new Error(`the accounts are not exact:\n${wrong.join('\n')}`);
}

/** No owner is left, so no session of one may be; a server takes a moment to notice that a client is gone. */
async function assertNoBackends(...sessions: Session[]): Promise<void> {
  const sql = `SELECT application_name || ' (' || coalesce(state, '') || ')' AS who FROM pg_catalog.pg_stat_activity WHERE application_name LIKE 'opendts:%'`;
  for (const session of sessions) {
    let left = await session.query(sql);
    for (let attempt = 0; attempt < 50 && left.length > 0; attempt++) {
      await sleep(100);
      left = await session.query(sql);
    }
    if (left.length > 0) throw new Error(`backends left: ${left.map(({ who }) => who).join(', ')}`);
  }
}

async function readIdentities(session: Session): Promise<string> {
  const { all } = await session.one(
    `SELECT string_agg(oid::text || relreplident::text, ' ' ORDER BY oid) AS all FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p')`,
  );
  return all ?? '';
}

async function assertNothingLeft(here: Session, there: Session): Promise<void> {
  await assertNoBackends(here, there);
  const left = [
    ...(await here.query(
      `SELECT 'slot ' || slot_name AS what FROM pg_catalog.pg_replication_slots
        UNION ALL SELECT 'publication ' || pubname FROM pg_catalog.pg_publication`,
    )),
    ...(await there.query(
      `SELECT 'schema ' || nspname AS what FROM pg_catalog.pg_namespace WHERE nspname LIKE '\\_opendts%'
        UNION ALL SELECT 'prepared transaction ' || gid FROM pg_catalog.pg_prepared_xacts`,
    )),
  ];
  if (left.length > 0) throw new Error(`left over: ${left.map(({ what }) => what).join(', ')}`);
}

try {
  const settings = { wal_level: 'logical', fsync: 'off' };
  for (const major of [17, 18]) servers.push(await startEmbedded({ major, settings }));
  const [source, target] = servers;
  if (!source || !target) throw new Error('two servers are needed');
  await run(source, target);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  say(
    `identical after ${totals.kills} kills and ${totals.freezes} freezes in the stream; accounts exact; nothing left over; ${totals.transactions} transactions written meanwhile; ${minutes} min`,
  );
} catch (thrown) {
  chain.owners?.abandon();
  say(thrown instanceof Error ? thrown.message : String(thrown));
  process.exitCode = 1;
} finally {
  for (const server of servers) await server.remove();
}

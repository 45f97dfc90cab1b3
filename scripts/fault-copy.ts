/**
 * Kills `opendts migrate` with SIGKILL at random moments of the full copy. One migration after the other, with and without incremental
 * (then under load), gets a series of kills and is run again each time until it completes; then both sides are compared, and what the
 * migration made for itself is removed.
 *   npm run faults:copy             200 kills        npm run faults:copy -- --quick     ten
 */
import { startEmbedded, type EmbeddedServer } from '../src/base/embedded/server.ts';
import { sleep } from '../src/base/runtime/sleep.ts';
import { openCli, reached, say, type Run } from './faults/cli.ts';
import { TABLES } from './faults/tables.ts';
import { open, startWriter } from './faults/writer.ts';

const quick = process.argv.includes('--quick');
const KILLS = quick ? 10 : 200;
const KILLS_A_MIGRATION = quick ? 5 : 12;
/** After the copy has begun; half of the kills come in the first tenth, when parts are planned, rechecked or taken back. */
const LATEST_MS = 1_500;
/** The tables take about ten seconds at this rate. */
const RATE = ['--max-megabytes', '1.2'];
const TYPES = ['schema,full', 'schema,full,incremental'] as const;
const PAST_THE_COPY = /phase=(index|catch-up|stream|finish|done)/;

interface Totals {
  kills: number;
  migrations: number;
  transactions: number;
}

/** One migration in databases of its own, killed up to so many times. */
async function migration(
  ends: { source: EmbeddedServer; target: EmbeddedServer },
  types: (typeof TYPES)[number],
  totals: Totals,
): Promise<void> {
  const name = `m${++totals.migrations}`;
  const { source, target } = ends;
  await using here = await open(source, 'postgres');
  await using there = await open(target, 'postgres');
  for (const session of [here, there]) await session.query(`CREATE DATABASE ${name}`);
  {
    await using inside = await open(source, name);
    await inside.query(TABLES);
    await using load = await open(source, name);
    const both = ['--source', source.uri(name), '--target', target.uri(name)];
    const args = [...both, '--types', types, '--chunk-megabytes', '0.3', '--until', 'caught-up'];
    const writer = types.endsWith('incremental') ? startWriter(load) : null;
    const most = Math.min(KILLS_A_MIGRATION, KILLS - totals.kills);
    let isPast = false;
    for (let kill = 0; kill < most && !isPast;) {
      isPast = !(await killOne(cli.run('migrate', [...args, ...RATE]), { name, types, totals }));
      if (!isPast) kill++;
    }
    await cli.mustRun('migrate', args);
    if (writer) {
      totals.transactions += await writer.stop();
      await cli.mustRun('migrate', args);
    }
    await cli.mustRun('verify', both);
    await cli.mustRun('cleanup', [...both, '--yes']);
  }
  for (const session of [here, there]) await session.query(`DROP DATABASE ${name} WITH (FORCE)`);
  say(`  ${name} (${types}): identical`);
}

/** False when the run was past its copy by then, or at its end; it is let go on. */
async function killOne(
  running: Run,
  { name, types, totals }: { name: string; types: string; totals: Totals },
): Promise<boolean> {
  if (await reached(running, 'copy')) {
    const delay = Math.round(Math.random() * LATEST_MS * (Math.random() < 0.5 ? 0.1 : 1));
    await sleep(delay);
    if (!PAST_THE_COPY.test(running.output())) {
      running.child.kill('SIGKILL');
      if ((await running.ended) === 'SIGKILL') {
        say(`kill ${++totals.kills}: ${name} (${types}), ${delay} ms into the copy`);
        return true;
      }
    }
  }
  const end = await running.ended;
  if (end !== 0) throw new Error(`${name}: opendts migrate ended with ${end}:\n${running.output()}`);
  return false;
}

const started = performance.now();
const totals: Totals = { kills: 0, migrations: 0, transactions: 0 };
using cli = openCli();
const servers: EmbeddedServer[] = [];
try {
  const settings = { wal_level: 'logical', fsync: 'off' };
  for (let end = 0; end < 2; end++) servers.push(await startEmbedded({ major: 18, settings }));
  const [source, target] = servers;
  if (!source || !target) throw new Error('two servers are needed');
  while (totals.kills < KILLS)
    await migration({ source, target }, TYPES[totals.migrations % TYPES.length] ?? TYPES[0], totals);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  say(
    `identical after ${totals.kills} kills in the copy, in ${totals.migrations} migrations; ${totals.transactions} transactions written meanwhile; ${minutes} min`,
  );
} catch (thrown) {
  say(thrown instanceof Error ? thrown.message : String(thrown));
  process.exitCode = 1;
} finally {
  for (const server of servers) await server.remove();
}

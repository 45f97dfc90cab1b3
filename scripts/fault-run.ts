/**
 * Kills `opendts migrate` with SIGKILL at random moments, half of them in the copy and half in streaming, while the shop's load writes
 * to the source; runs it again each time; then stops the load, catches up and compares.
 *   npm run faults             ten kills        npm run faults -- --quick     four
 */
import { startEmbedded, type EmbeddedServer } from '../src/base/embedded/server.ts';
import { sleep } from '../src/base/runtime/sleep.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import { startLoad } from '../src/demo/load.ts';
import { seedShop } from '../src/demo/shop/seed.ts';
import { openCli, reached, say } from './faults/cli.ts';

const quick = process.argv.includes('--quick');
const KILLS = quick ? 4 : 10;
const SCALE = quick ? 0.1 : 1;

using cli = openCli();
const servers: EmbeddedServer[] = [];
try {
  const source = await startEmbedded({ major: 18, settings: { wal_level: 'logical' } });
  servers.push(source);
  const target = await startEmbedded({ major: 18 });
  servers.push(target);
  const info = parseConninfo(source.uri('postgres'), 'source');
  const open = () => connect(info, { side: 'source', applicationName: 'shop' });
  await using session = await open();
  await seedShop(session, { scale: SCALE });
  const load = startLoad(open, { clients: 2, pauseMs: 5 });
  const ends = ['--source', source.uri('postgres'), '--target', target.uri('postgres')];
  for (let kill = 1; kill <= KILLS; kill++) {
    const inCopy = kill <= KILLS / 2;
    const running = cli.run('migrate', ends);
    await reached(running, inCopy ? 'copy' : 'stream');
    const delay = Math.round(Math.random() * (inCopy ? 2500 * SCALE : 3000));
    await sleep(delay);
    running.child.kill('SIGKILL');
    const end = await running.ended;
    say(`kill ${kill}: ${inCopy ? 'copy' : 'stream'} + ${delay} ms, ended with ${end}`);
    if (end !== 'SIGKILL') throw new Error(`expected to be killed, ended with ${end}:\n${running.output()}`);
  }
  const written = await load.stop();
  say(`load: ${written.transactions} transactions`);
  await cli.mustRun('migrate', [...ends, '--until', 'caught-up']);
  say((await cli.mustRun('verify', ends)).trim());
  say(`identical after ${KILLS} kills`);
} catch (thrown) {
  say(thrown instanceof Error ? thrown.message : String(thrown));
  process.exitCode = 1;
} finally {
  for (const server of servers) await server.remove();
}

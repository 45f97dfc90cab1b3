/**
 * Kills `opendts migrate` with SIGKILL at random moments, half of them in the copy and half in streaming, while the shop's load writes
 * to the source; runs it again each time; then stops the load, catches up and compares.
 *   npm run faults             ten kills        npm run faults -- --quick     four
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEmbedded, type EmbeddedServer } from '../src/base/embedded/server.ts';
import { sleep } from '../src/base/runtime/sleep.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import { startLoad } from '../src/demo/load.ts';
import { seedShop } from '../src/demo/shop/seed.ts';

const quick = process.argv.includes('--quick');
const KILLS = quick ? 4 : 10;
const SCALE = quick ? 0.1 : 1;
const BIN = fileURLToPath(new URL('../bin/opendts.js', import.meta.url));
const say = (line: string) => process.stdout.write(`${line}\n`);

interface Run {
  readonly child: ReturnType<typeof spawn>;
  readonly ended: Promise<number | NodeJS.Signals | null>;
  readonly output: () => string;
}

function run(command: string, ends: readonly string[], extra: readonly string[] = []): Run {
  const child = spawn(process.execPath, [BIN, command, ...ends, ...extra], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOME: home, XDG_STATE_HOME: home },
  });
  let output = '';
  child.stdout.on('data', (text) => (output += String(text)));
  child.stderr.on('data', (text) => (output += String(text)));
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal)),
  );
  return { child, ended, output: () => output };
}

/** Waits until the run says that it is in this phase, or has ended. */
async function reached(running: Run, phase: string): Promise<void> {
  let over = false;
  void running.ended.then(() => (over = true));
  while (!over && !running.output().includes(`phase=${phase}`)) await sleep(20);
}

const home = mkdtempSync(join(tmpdir(), 'opendts-faults-'));
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
    const running = run('migrate', ends);
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
  const last = run('migrate', ends, ['--until', 'caught-up']);
  if ((await last.ended) !== 0) throw new Error(`the last run failed:\n${last.output()}`);
  const verify = run('verify', ends);
  const verdict = await verify.ended;
  say(verify.output().trim());
  if (verdict !== 0) throw new Error(`verify ended with ${verdict}`);
  say(`identical after ${KILLS} kills`);
} catch (thrown) {
  say(thrown instanceof Error ? thrown.message : String(thrown));
  process.exitCode = 1;
} finally {
  for (const server of servers) await server.remove();
  rmSync(home, { recursive: true, force: true });
}

/** The process of the command line: reads the environment and the arguments, turns signals into one AbortSignal, sets the exit code. */
import { armFailpoint, noFailpoints } from './base/runtime/failpoint.ts';
import { readConfig } from './config.ts';
import { runCli } from './surface/cli/program.ts';
import { stopExit, stopReason, type StopName } from './surface/cli/stop.ts';

const args = process.argv.slice(2);
const config = readConfig(process.env);
const stop = new AbortController();

/** The first signal asks for an orderly end, the second does not wait for it. */
function onSignal(name: StopName): void {
  if (!stop.signal.aborted) {
    stop.abort(stopReason(name));
    return;
  }
  // The live view hides the cursor and has no chance to show it again.
  if (process.stderr.isTTY) process.stderr.write('\x1b[?25h');
  process.exit(stopExit(AbortSignal.abort(stopReason(name))));
}

process.on('SIGINT', () => onSignal('SIGINT'));
process.on('SIGTERM', () => onSignal('SIGTERM'));
// Under an older Node bin/opendts.js is our parent and waits for us: when it is killed, we end as it did.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.channel?.unref();
// A reader that went away (`opendts inspect … | head`) is no reason to end a migration, nor to complain.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
// The title replaces the arguments in process lists: they may hold a connection string.
process.title = 'opendts';

process.exitCode = await runCli(args, {
  config,
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  signal: stop.signal,
  onReload: (listener) => process.on('SIGUSR2', listener),
  failpoints: config.failpoint === undefined ? noFailpoints : armFailpoint(config.failpoint),
});

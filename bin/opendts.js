#!/usr/bin/env node
// Starts opendts: src/main.ts in a checkout (Node strips the types), dist/main.js when installed (Node refuses to strip below
// node_modules). Plain JavaScript for any Node from 18 on: under one older than 24 it runs itself again with the packaged Node.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST = 24;
const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));

/** Where npm put the packaged Node: below our own node_modules, or hoisted into one of a folder above. */
function packagedNode() {
  const name = `node-${process.platform}-${process.arch}`;
  for (let folder = root; ; folder = dirname(folder)) {
    const node = join(folder, 'node_modules', name, 'bin', 'node');
    if (existsSync(node)) return node;
    if (folder === dirname(folder)) return null;
  }
}

/** Node keeps what it has compiled in a folder that is the user's own: the next start takes half the time. */
function keepCompiled() {
  const { XDG_CACHE_HOME, HOME } = process.env;
  const cache = XDG_CACHE_HOME || (HOME && join(HOME, '.cache'));
  if (cache) module.enableCompileCache(join(cache, 'opendts'));
}

/** Runs the same command under another Node and ends as it ends. */
function runAgain(node) {
  // The title replaces the arguments in process lists: they may hold a connection string.
  const args = [self, ...process.argv.slice(2)];
  process.title = 'opendts';
  // The channel tells the child when this process is gone, also after kill -9.
  const child = spawn(node, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  // Ctrl-C reaches the child by itself, being in the same process group; handing it on would make it two.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`opendts: cannot start ${node}: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exitCode = code ?? 1;
      return;
    }
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

const installed = root.split(sep).includes('node_modules') || !existsSync(join(root, 'src', 'main.ts'));
if (!installed && !existsSync(join(root, 'node_modules'))) {
  process.stderr.write(
    `opendts: the packages of this checkout are not installed yet.\nRun "npm install --no-save" in ${root}; "npm run demo" and "npm test" do so by themselves.\n`,
  );
  process.exitCode = 1;
} else if (Number(process.versions.node.split('.')[0]) >= OLDEST) {
  keepCompiled();
  await import(new URL(installed ? '../dist/main.js' : '../src/main.ts', import.meta.url));
} else {
  const node = packagedNode();
  if (node === null) {
    process.stderr.write(
      `opendts: needs Node ${OLDEST} or newer; this is ${process.version} and none is packaged for ${process.platform}-${process.arch}.\n` +
        `Install Node ${OLDEST} (https://nodejs.org), or install opendts with its optional dependencies on Linux x64 or arm64.\n`,
    );
    process.exitCode = 1;
  } else {
    runAgain(node);
  }
}

